/**
 * Finished traces of slow operations, as plain data. The capture thread makes them; the main thread exports them, keeps
 * them for `/api/v1/slow`, and uses them as exemplars.
 */
import type { TASK_CLASSES } from './task-classes.ts';
import { LATENCY_TRACERS } from './tracer.ts';

/** Kinds of traces: the keys under `spans.kinds`, and the values of the label `kind`. */
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

/** Wall clock: seconds since 1970 and the remaining nanoseconds, like OpenTelemetry's `HrTime`. */
export type WallTime = readonly [seconds: number, nanoseconds: number];

export interface SpanRecord {
  /** General, with few values: `syscall fsync`, `block write`, `runqueue wait`. */
  name: string;
  /** 16 hex digits. */
  spanId: string;
  /** ID of a span in the same trace; '' at the root, unless an application began the trace. */
  parentSpanId: string;
  start: WallTime;
  end: WallTime;
  /** Exact to the nanosecond on the trace clock: `end` minus `start`. */
  durationNs: number;
  attributes: Attributes;
  /** Why it failed, such as `ENOSPC`; absent if it did not. */
  error?: string | undefined;
}

/** A histogram bucket for which one of the trace's spans is an example. */
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
  /** 32 hex digits; the application's, if it set one. */
  traceId: string;
  /** The root first, and every parent before its children. */
  spans: readonly SpanRecord[];
  /**
   * The value that is compared with the kind's threshold and that orders the slowest: how long it took; for a period of
   * osnoise its noise; for a syscall that was not named, the time not slept waiting for others.
   */
  weightNs: number;
  /** Spans of the trace that were left out. */
  pruned: number;
  /** Attributes of the traced resource (`container.id`, `k8s.pod.uid`), in addition to the agent's. */
  resource: Readonly<Record<string, string>>;
  exemplars: readonly ExemplarRecord[];
}

/** What happened to traces and spans: the label `outcome`. `kept` means only in memory, because there is no backend. */
export type SpanOutcome = 'exported' | 'kept' | 'over_budget' | 'pruned' | 'failed';

/** Which slow operations become traces, as plain data. */
export interface SpansConfig {
  maxTracesPerSecond: number;
  /** Whether to look up containers of traced processes in the host's /proc. */
  containers: boolean;
  /** Whether to use the top level's buffer for markers of programs, on kernels that can't copy them to an instance. */
  topLevelMarkers?: boolean;
  kinds: Readonly<Partial<Record<SpanKind, KindOptions>>>;
}

export interface KindOptions {
  thresholdNs: number;
  /** For syscalls: globs of names. Undefined: all except those that wait by nature. */
  include?: readonly string[] | undefined;
  /**
   * For kinds whose operations belong to a task: globs of its thread's or program's name, and of its container's id or
   * pod's uid. Undefined: all.
   */
  processes?: readonly string[] | undefined;
  excludeProcesses?: readonly string[] | undefined;
  containers?: readonly string[] | undefined;
  excludeContainers?: readonly string[] | undefined;
  /** Scheduling classes of tasks. Undefined: all. */
  classes?: readonly (typeof TASK_CLASSES)[number][] | undefined;
  /** For function_graph: calls shorter than this are left out of the tree. */
  minChildNs?: number | undefined;
  /** For function_graph: maximum spans of a tree. */
  maxSpans?: number | undefined;
}
