/**
 * Finished traces of slow operations, as plain data: made in the capture thread, carried to the main thread, where they
 * are exported, kept for `/api/v1/slow`, and pointed at by exemplars.
 */
import { LATENCY_TRACERS } from './tracer.ts';

/** What a trace is about: its key under `spans.kinds`, and the label `kind`. */
export const SPAN_KINDS = [
  'syscalls',
  'block',
  'sched',
  'function_graph',
  'timerlat',
  'osnoise',
  ...LATENCY_TRACERS,
] as const;
export type SpanKind = (typeof SPAN_KINDS)[number];

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Wall clock as seconds since 1970 and nanoseconds of them, as OpenTelemetry's `HrTime`. */
export type WallTime = readonly [seconds: number, nanoseconds: number];

export interface SpanRecord {
  /** General and few: `syscall fsync`, `block write`, `runqueue wait`. */
  name: string;
  /** 16 hex digits. */
  spanId: string;
  /** Of a span of the same trace; '' at the root of a trace that no application began. */
  parentSpanId: string;
  start: WallTime;
  end: WallTime;
  /** To the nanosecond, as the trace clock counts them: what `end` less `start` is. */
  durationNs: number;
  attributes: Attributes;
  /** Why it failed, as in `ENOSPC`; absent where it did not. */
  error?: string;
}

/** A bucket that one of its spans is an example for. */
export interface ExemplarRecord {
  /** Name of the histogram. */
  metric: string;
  /** Values of all labels of the series, in the order of the metric's labels. */
  labelValues: readonly string[];
  valueNs: number;
  spanId: string;
}

export interface TraceRecord {
  kind: SpanKind;
  /** 32 hex digits: the application's where it told us of one. */
  traceId: string;
  /** The root first, every parent before its children. */
  spans: readonly SpanRecord[];
  /**
   * What its kind's threshold is compared with, and by which the slowest are found: how long it took; of a period of
   * osnoise its noise; of a syscall that nobody named, what it did not sleep for others.
   */
  weightNs: number;
  /** Spans that would belong to it and were not made. */
  pruned: number;
  /** Attributes of the resource that was traced (`container.id`, `k8s.pod.uid`), beside those of the agent. */
  resource: Readonly<Record<string, string>>;
  exemplars: readonly ExemplarRecord[];
}

/** What becomes of traces and spans, as the label `outcome`; `kept`: in memory alone, for there is no backend. */
export type SpanOutcome = 'exported' | 'kept' | 'over_budget' | 'pruned' | 'failed';

/** Which slow operations become traces. Plain data. */
export interface SpansConfig {
  maxTracesPerSecond: number;
  /** Whether containers of traced processes are looked up in the host's /proc. */
  containers: boolean;
  /** Whether the top level's buffer is taken for the markers of programs, on kernels that cannot copy them. */
  topLevelMarkers?: boolean;
  kinds: Readonly<Partial<Record<SpanKind, KindOptions>>>;
}

export interface KindOptions {
  thresholdNs: number;
  /** syscalls: globs of names; undefined: all but those that wait by nature. */
  include?: readonly string[];
  /** function_graph: calls shorter than this are left out of the tree. */
  minChildNs?: number;
  /** function_graph: spans of a tree. */
  maxSpans?: number;
}
