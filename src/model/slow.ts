/** Response types of `/api/v1/slow` (docs/http-api.md). */
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
  /** Number of spans that this tree leaves out. */
  pruned: number;
  resource: Readonly<Record<string, string>>;
}

export interface SlowAnswer {
  kinds: readonly string[];
  /** For a search: slowest first. For a trace id: newest first. */
  traces: SlowTree[];
}
