/** Response types of `/api/v1/slow`, as described in docs/http-api.md. The web page reads these responses. */
import type { Attributes } from './span.ts';

export interface SpanTree {
  spanId: string;
  name: string;
  /** ISO 8601 with nanoseconds. */
  start: string;
  durationSeconds: number;
  error?: string | undefined;
  attributes: Attributes;
  children: SpanTree[];
}

/** The root span of a trace. */
export interface SlowTree extends SpanTree {
  traceId: string;
  /** Id of the application's span that the trace belongs to. */
  parentSpanId?: string | undefined;
  kind: string;
  /** Number of spans of the trace that this tree leaves out. */
  pruned: number;
  resource: Readonly<Record<string, string>>;
}

/** Response to a search, or to a request for one trace id. */
export interface SlowAnswer {
  kinds: readonly string[];
  /** For a search: slowest first. For a trace id: newest first. */
  traces: SlowTree[];
}
