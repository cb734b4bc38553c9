import type { TimestampNs } from '../../model/time.ts';
import type { EventPlan } from '../plan/plan.ts';

/** Wall time that a stream has spent in its phases. */
export interface PhaseTimes {
  /** Reading from the kernel or a file. */
  readMs: number;
  /** Decoding, merging and handling events. */
  decodeMs: number;
}

/** Converts a buffer's data to handler calls, from pages (`pipeline.ts`) or from text (`text-pipeline.ts`). */
export interface EventStream {
  /** Cumulative times of all ticks. */
  readonly spent: Readonly<PhaseTimes>;
  /**
   * Reads what was recorded before `tickStart` and processes the events older than the watermark. `maxRounds` limits
   * the work. Returns false if there is more to read. Then call `tick` again soon, after ticks of the other buffers.
   */
  tick(tickStart: TimestampNs, maxRounds: number): boolean;
  /** Reads and processes everything that remains, at the end of a recording. */
  flush(): void;
  /** Bytes of one CPU's events that were read so far. */
  bytesRead(cpu: number): number;
  /** Number of one CPU's processed events, with or without a handler. Comparable to the kernel's `read events`. */
  events(cpu: number): number;
  /** Number of one CPU's events that were read but not processed yet. Undefined if unknown. */
  pendingEvents(cpu: number): number | undefined;
  /** Number of parts of one CPU's data that could not be decoded. No count contains the events in these parts. */
  givenUp(cpu: number): number;
  /**
   * Drops operations that began before `untilNs`, because recording was interrupted on all CPUs. Call it between ticks.
   */
  voidUntil(untilNs: TimestampNs): void;
  /** Switches to the handlers of another plan. Absent if this reader does not support it. */
  replan?(plan: Pick<EventPlan, 'dispatcher' | 'onLoss'>): void;
  /** Number of one CPU's lost events according to the pages or the text. */
  flaggedLost(cpu: number): number;
  /** Number of events processed after younger events. */
  lateEvents(): number;
}
