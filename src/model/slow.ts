/** Answers of `/api/v1/slow`, as docs/http-api.md describes them. The page reads them. */
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

/** The root of a trace. */
export interface SlowTree extends SpanTree {
  traceId: string;
  /** Id of the application's span that the trace belongs to. */
  parentSpanId?: string | undefined;
  kind: string;
  /** Spans that were left out. */
  pruned: number;
  resource: Readonly<Record<string, string>>;
}

/** With a search or a trace id. */
export interface SlowAnswer {
  kinds: readonly string[];
  /** Slowest first; newest first of one trace id. */
  traces: SlowTree[];
}
