/** Functions that the agent passes to the code for spans. */
import type { SpanKind, SpanOutcome, WallTime } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import type { DraftAttributes } from './attributes.ts';

/** The application span that becomes the parent of a thread's kernel spans. */
export interface RemoteParent {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
}

export interface SpanCounts {
  trace(kind: SpanKind, outcome: SpanOutcome, count?: number): void;
  span(kind: SpanKind, outcome: SpanOutcome, count?: number): void;
  /** Counts an operation that reached the threshold but gets no trace, because the config excludes its task. */
  filtered(kind: SpanKind): void;
}

export interface SpanDeps {
  counts: SpanCounts;
  /** Current time on the trace clock. */
  now(): TimestampNs;
  /** Wall-clock time for a timestamp of the trace clock. */
  wallTime(stampNs: TimestampNs): WallTime;
  /** Returns a function that checks whether a name matches any of these globs. */
  matcher(globs: readonly string[]): (name: string) => boolean;
  /** Name of an errno, such as ENOENT, or undefined if the errno has no name. */
  errnoName(errno: number): string | undefined;
  /** Returns the application span that the task was in at this time, or undefined. */
  parentOf(pid: number, atNs: TimestampNs): RemoteParent | undefined;
  /** Current scheduling class of a task: an index of TASK_CLASSES. */
  taskClass(pid: number): number;
  /** Returns facts about a task that events do not contain, such as its program and its container. */
  taskFacts(pid: number, atNs: TimestampNs): TaskFacts;
  /** Returns the label values of the histogram series that counts an operation; undefined if no series does. */
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
