/** Converts traces to the trees of the JSON responses. */

import type { SlowTree, SpanTree } from '../../model/slow.ts';
import type { SpanRecord, TraceRecord, WallTime } from '../../model/span.ts';

export function treeOf({ kind, traceId, spans, pruned, resource }: TraceRecord): SlowTree {
  const nodes = new Map<string, SpanTree>();
  for (const span of spans) {
    const node = nodeOf(span);
    nodes.get(span.parentSpanId)?.children.push(node);
    nodes.set(span.spanId, node);
  }
  const [root] = spans;
  return {
    traceId,
    // If a root span has a parent, the parent is a span of the traced application.
    parentSpanId: root.parentSpanId || undefined,
    kind,
    pruned,
    resource,
    ...(nodes.get(root.spanId) as SpanTree),
  };
}

function nodeOf(span: SpanRecord): SpanTree {
  return {
    spanId: span.spanId,
    name: span.name,
    start: isoTime(span.start),
    durationSeconds: span.durationNs / 1e9,
    error: span.error,
    attributes: span.attributes,
    children: [],
  };
}

/** Formats a time as `2026-11-25T11:20:24.123456789Z`. */
export function isoTime([seconds, nanoseconds]: WallTime): string {
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(nanoseconds).padStart(9, '0')}Z`;
}
