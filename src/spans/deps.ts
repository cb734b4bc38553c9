/** What spans need from the rest of the agent, which passes it in. */
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
  /** Counts an operation that reached the threshold, but whose task the config excludes from traces. */
  filtered(kind: SpanKind): void;
}

export interface SpanDeps {
  counts: SpanCounts;
  /** The trace clock. */
  now(): TimestampNs;
  /** Wall-clock time at a time of the trace clock. */
  wallTime(stampNs: TimestampNs): WallTime;
  /** Whether a name matches any of these globs. */
  matcher(globs: readonly string[]): (name: string) => boolean;
  /** Name of an error number, such as ENOENT; undefined if it has none. */
  errnoName(errno: number): string | undefined;
  /** The application span that was active in the task at that time. */
  parentOf(pid: number, atNs: TimestampNs): RemoteParent | undefined;
  /** Scheduling class of a task now: index of TASK_CLASSES. */
  taskClass(pid: number): number;
  /** Facts about a task at that time, from outside the trace: attributes of its spans and of its resource. */
  taskFacts(pid: number, atNs: TimestampNs): TaskFacts;
  /**
   * Label values of a probe's histogram series: its own values, and `cpu` if the histogram is by CPU. Undefined if the
   * probe has no metrics, or does not count the operation.
   */
  seriesOf(probe: string, values: readonly string[], cpu: number): readonly string[] | undefined;
  /** Fills `into` with random bytes. */
  random(into: Uint8Array): void;
  isSelf(pid: number): boolean;
  cpuCount: number;
}

export interface TaskFacts {
  attributes: DraftAttributes;
  resource: Readonly<Record<string, string | undefined>>;
}
