/** Functions that spans need from the rest of the agent. The agent passes them in. */
import type { SpanKind, SpanOutcome, WallTime } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import type { DraftAttributes } from './attributes.ts';

/** A span of an application: the parent of the kernel spans of its thread. */
export interface RemoteParent {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
}

export interface SpanCounts {
  trace(kind: SpanKind, outcome: SpanOutcome, count?: number): void;
  span(kind: SpanKind, outcome: SpanOutcome, count?: number): void;
  /** Counts an operation that reached the threshold although the config excludes its task. */
  filtered(kind: SpanKind): void;
}

export interface SpanDeps {
  counts: SpanCounts;
  /** The trace clock. */
  now(): TimestampNs;
  /** Wall-clock time for a timestamp of the trace clock. */
  wallTime(stampNs: TimestampNs): WallTime;
  /** Whether a name matches any of these globs. */
  matcher(globs: readonly string[]): (name: string) => boolean;
  /** Name of an errno, such as ENOENT. Undefined if it has no name. */
  errnoName(errno: number): string | undefined;
  /** The application span that was active in the task at this time. */
  parentOf(pid: number, atNs: TimestampNs): RemoteParent | undefined;
  /** Current scheduling class of a task: an index of TASK_CLASSES. */
  taskClass(pid: number): number;
  /** Facts about a task at this time that the trace does not contain: attributes of its spans and of its resource. */
  taskFacts(pid: number, atNs: TimestampNs): TaskFacts;
  /**
   * Label values of the series in a probe's histogram: the given values, then those of the CPU or of the task's
   * container if the histogram has such labels. Undefined if the probe has no metrics, or does not count the operation.
   */
  seriesOf(probe: string, values: readonly string[], cpu: number, pid: number): readonly string[] | undefined;
  /** Fills `into` with random bytes. */
  random(into: Uint8Array): void;
  isSelf(pid: number): boolean;
  cpuCount: number;
}

export interface TaskFacts {
  attributes: DraftAttributes;
  resource: Readonly<Record<string, string | undefined>>;
}
