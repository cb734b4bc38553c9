/** Finished traces of slow operations. The capture thread makes them; the main thread exports and keeps them. */
import type { TASK_CLASSES } from './task-classes.ts';
import { LATENCY_TRACERS } from './tracer.ts';

/** Kinds of traces: keys under `spans.kinds`, and values of the label `kind`. */
export const SPAN_KINDS = [
  'syscalls',
  'block',
  'sched',
  'metrics',
  'function_graph',
  'timerlat',
  'osnoise',
  ...LATENCY_TRACERS,
] as const;
export type SpanKind = (typeof SPAN_KINDS)[number];

/** Kinds whose operations belong to a thread, so that the config can exclude them by task. */
export const TASK_KINDS: readonly SpanKind[] = ['syscalls', 'block', 'sched', 'metrics', 'function_graph'];

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Wall clock: seconds since 1970 and the remaining nanoseconds, like OpenTelemetry's `HrTime`. */
export type WallTime = readonly [seconds: number, nanoseconds: number];

export interface SpanRecord {
  /** Type of operation, with low cardinality: `syscall fsync`, `block write`, `runqueue wait`. */
  name: string;
  /** 16 hex digits. */
  spanId: string;
  /** ID of the parent span in the same trace. At the root: '', or the ID of the application's span. */
  parentSpanId: string;
  start: WallTime;
  end: WallTime;
  /** `end` minus `start` on the trace clock, exact to the nanosecond. */
  durationNs: number;
  attributes: Attributes;
  /** Why the operation failed, such as `ENOSPC`. Absent if it succeeded. */
  error?: string | undefined;
}

/** An example for a histogram bucket: one of the trace's spans. */
export interface ExemplarRecord {
  /** Name of the histogram. */
  metric: string;
  /** Values of all labels of the series, in the metric's order. */
  labelValues: readonly string[];
  valueNs: number;
  spanId: string;
}

export interface TraceRecord {
  kind: SpanKind;
  /** 32 hex digits. The application's trace ID, if the application set one. */
  traceId: string;
  /** Every parent comes before its children. */
  spans: readonly SpanRecord[];
  /**
   * The value to compare with the threshold: usually the duration. For osnoise: the noise of a period. For a syscall
   * that the config does not name: the duration without interruptible sleep.
   */
  weightNs: number;
  /** Number of spans that the trace leaves out. */
  pruned: number;
  /** Attributes of the traced resource (`container.id`, `k8s.pod.uid`), in addition to the agent's. */
  resource: Readonly<Record<string, string>>;
  exemplars: readonly ExemplarRecord[];
}

/**
 * Values of the label `outcome`. `kept`: only in memory, because no OTLP backend is configured. `suspended`: the probe
 * that tracks tasks for traces was suspended.
 */
export type SpanOutcome = 'exported' | 'kept' | 'over_budget' | 'pruned' | 'failed' | 'suspended';

/** Which slow operations become traces. */
export interface SpansConfig {
  maxTracesPerSecond: number;
  /** Whether to look up containers of processes in the host's /proc. */
  containers: boolean;
  /** Whether to read markers from the top-level buffer, on kernels that cannot copy them to an instance. */
  topLevelMarkers?: boolean;
  /** Never suspend the probe that tracks tasks for traces. */
  essential?: boolean;
  kinds: Readonly<Partial<Record<SpanKind, KindOptions>>>;
}

export interface KindOptions {
  thresholdNs: number;
  /**
   * For the kind syscalls: globs of syscall names; by default all, except syscalls that normally wait, such as `poll`.
   * For the kind metrics: globs of metric names; by default all.
   */
  include?: readonly string[] | undefined;
  /**
   * Only for `TASK_KINDS`. `processes` are globs of names of threads or programs, `containers` globs of container ids
   * or pod uids. If undefined, all tasks match.
   */
  processes?: readonly string[] | undefined;
  excludeProcesses?: readonly string[] | undefined;
  containers?: readonly string[] | undefined;
  excludeContainers?: readonly string[] | undefined;
  /** Scheduling classes of the tasks; undefined: all. */
  classes?: readonly (typeof TASK_CLASSES)[number][] | undefined;
  /** Only for function_graph: calls shorter than this are left out of the tree. */
  minChildNs?: number | undefined;
  /** Only for function_graph: maximum number of spans in a tree. */
  maxSpans?: number | undefined;
}
