/**
 * `/api/v1/slow?kind=&limit=`: the newest and the slowest traced operations, as JSON trees. With `trace_id=`, the traces
 * of that id, as exemplars name it.
 */
import type { Request, Response } from 'express';
import type { SpanKind, SpanRecord, TraceRecord, WallTime } from '../../model/span.ts';
import type { SendAnswer } from '../server/answers.ts';
import { sendText } from '../server/respond.ts';
import type { HttpDeps, SlowOperations } from './deps.ts';

const LIMIT = 10;
const MAX_LIMIT = 100;

interface Wanted {
  kind: SpanKind | undefined;
  limit: number;
  /** 32 hex digits. */
  traceId: string | undefined;
}

interface SpanTree {
  spanId: string;
  name: string;
  /** ISO 8601 with nanoseconds. */
  start: string;
  durationSeconds: number;
  error?: string;
  attributes: SpanRecord['attributes'];
  children: SpanTree[];
}

export function slowRoute(deps: HttpDeps, send: SendAnswer): (request: Request, response: Response) => void {
  return (request, response) => {
    if (deps.traces === undefined) {
      sendText(response, 404, 'no slow operations are traced; choose kinds with spans.kinds in the config');
      return;
    }
    const wanted = readQuery(request.url, deps.traces);
    if (typeof wanted === 'string') {
      sendText(response, 400, wanted);
      return;
    }
    const document = { kinds: deps.traces.kinds, ...treesOf(deps.traces, wanted) };
    send(response, 200, 'application/json; charset=utf-8', `${JSON.stringify(document, undefined, 2)}\n`);
  };
}

function treesOf(traces: SlowOperations, { kind, limit, traceId }: Wanted) {
  if (traceId !== undefined) return { traces: traces.find(traceId, kind, limit).map(treeOf) };
  const { last, slowest } = traces.slow(kind, limit);
  return { last: last.map(treeOf), slowest: slowest.map(treeOf) };
}

/** Returns the query, or what is wrong with it. */
function readQuery(url: string, { kinds }: SlowOperations): Wanted | string {
  const at = url.indexOf('?');
  const wanted: Wanted = { kind: undefined, limit: LIMIT, traceId: undefined };
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(at < 0 ? '' : url.slice(at + 1))) {
    if (seen.has(name)) return `${JSON.stringify(name)} comes twice`;
    seen.add(name);
    if (name === 'kind') {
      const kind = kinds.find((one) => one === value);
      if (kind === undefined) return `kind must be one that is on: ${kinds.join(', ')}`;
      wanted.kind = kind;
    } else if (name === 'limit') {
      const limit = /^\d{1,3}$/.test(value) ? Number(value) : 0;
      if (limit < 1 || limit > MAX_LIMIT) return `limit must be a whole number from 1 to ${MAX_LIMIT}`;
      wanted.limit = limit;
    } else if (name === 'trace_id') {
      if (!/^[0-9a-f]{32}$/i.test(value)) return 'trace_id: wants 32 hex digits';
      wanted.traceId = value.toLowerCase();
    } else {
      return 'only kind, limit and trace_id are allowed, as in ?kind=syscalls&limit=5';
    }
  }
  return wanted;
}

function treeOf({ kind, traceId, spans, pruned, resource }: TraceRecord) {
  const nodes = new Map<string, SpanTree>();
  for (const span of spans) {
    const node: SpanTree = {
      spanId: span.spanId,
      name: span.name,
      start: isoTime(span.start),
      durationSeconds: span.durationNs / 1e9,
      ...(span.error === undefined ? {} : { error: span.error }),
      attributes: span.attributes,
      children: [],
    };
    nodes.get(span.parentSpanId)?.children.push(node);
    nodes.set(span.spanId, node);
  }
  const [root] = spans;
  return {
    traceId,
    // Id of an application's span.
    ...(root.parentSpanId === '' ? {} : { parentSpanId: root.parentSpanId }),
    kind,
    pruned,
    resource,
    ...nodes.get(root.spanId),
  };
}

/** `2026-11-25T11:20:24.123456789Z` */
export function isoTime([seconds, nanoseconds]: WallTime): string {
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(nanoseconds).padStart(9, '0')}Z`;
}
