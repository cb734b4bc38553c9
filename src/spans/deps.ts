/** What making spans needs of the rest of the agent, which hands it over. */
import type { Attributes, SpanKind, SpanOutcome, WallTime } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';

/** A span of an application, which kernel spans of its thread are children of. */
export interface RemoteParent {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
}

export interface SpanCounts {
  trace(kind: SpanKind, outcome: SpanOutcome, count?: number): void;
  span(kind: SpanKind, outcome: SpanOutcome, count?: number): void;
}

export interface SpanDeps {
  counts: SpanCounts;
  /** The trace clock. */
  now(): TimestampNs;
  /** Wall clock at a stamp of the trace clock. */
  wallTime(stampNs: TimestampNs): WallTime;
  /** Whether a name matches any of these globs. */
  matcher(globs: readonly string[]): (name: string) => boolean;
  /** `errno` as ENOENT; undefined for numbers without a name. */
  errnoName(errno: number): string | undefined;
  /** The span of an application that a task was in at that time. */
  parentOf(pid: number, atNs: TimestampNs): RemoteParent | undefined;
  /** What is known from elsewhere of a task as it was at that time: attributes of its spans and of its resource. */
  taskFacts(pid: number, atNs: TimestampNs): TaskFacts;
  /**
   * Label values of a histogram's series: what the probe has (`values`), and the CPU where it is told by CPU; undefined
   * where the probe has no metrics, or does not count it.
   */
  seriesOf(probe: string, values: readonly string[], cpu: number): readonly string[] | undefined;
  /** Random bytes, filled into `into`. */
  random(into: Uint8Array): void;
  isSelf(pid: number): boolean;
  cpuCount: number;
}

export interface TaskFacts {
  attributes: Attributes;
  resource: Readonly<Record<string, string>>;
}
