/**
 * Converts traces to ended spans for the SDK's encoder. We don't use the SDK's tracer, because it would make its own IDs
 * and times. Spans of one resource share an object, because the encoder groups by it.
 */
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { hrTimeDuration } from '@opentelemetry/core';
import type { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { SpanRecord, TraceRecord } from '../../model/span.ts';

export type EndedSpan = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

type Scope = EndedSpan['instrumentationScope'];

/**
 * Attributes of the agent's own pod and container. Spans don't get them: the agent does not trace its own threads, so a
 * traced task belongs to another container, to the node itself, or has ended.
 */
function isOfOwnPod(name: string): boolean {
  return /^(container|k8s)\./.test(name) && !/^k8s\.(node|cluster)\./.test(name);
}

/** The spans of one request. They get the agent's attributes about the node, overridden by those of the traced task. */
export function endedSpans(traces: readonly TraceRecord[], agent: Resource, scope: Scope): EndedSpan[] {
  const ofNode = Object.entries(agent.attributes).filter(([name]) => !isOfOwnPod(name));
  const node = resourceFromAttributes(Object.fromEntries(ofNode));
  const resources = new Map<string, Resource>();
  return traces.flatMap(({ traceId, spans, resource: traced }) => {
    const key = JSON.stringify(Object.entries(traced).sort(([a], [b]) => (a < b ? -1 : 1)));
    const resource = resources.get(key) ?? node.merge(resourceFromAttributes(traced));
    resources.set(key, resource);
    return spans.map((span, i) => endedSpan(traceId, span, i === 0, resource, scope));
  });
}

function endedSpan(
  traceId: string,
  record: SpanRecord,
  isRoot: boolean,
  resource: Resource,
  scope: Scope,
): EndedSpan {
  const { name, spanId, parentSpanId, error } = record;
  const context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
  return {
    name,
    kind: SpanKind.INTERNAL,
    spanContext: () => context,
    // The parent of a root is an application's span.
    ...(parentSpanId && { parentSpanContext: { ...context, spanId: parentSpanId, isRemote: isRoot } }),
    startTime: [...record.start],
    endTime: [...record.end],
    duration: hrTimeDuration([...record.start], [...record.end]),
    ended: true,
    status:
      error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
    // The API's lists are not readonly, but nobody writes to these.
    attributes: record.attributes as EndedSpan['attributes'],
    links: [],
    events: [],
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}
