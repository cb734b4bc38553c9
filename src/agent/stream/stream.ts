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
  /** Total times of all ticks. */
  readonly spent: Readonly<PhaseTimes>;
  /**
   * Reads what was recorded before `tickStart`, and processes the events that are older than the watermark
   * (see `pipeline.ts`). `maxRounds` limits the work. If there is more to read, returns false; the caller
   * should then call `tick` again soon, after the ticks of the other buffers.
   */
  tick(tickStart: TimestampNs, maxRounds: number): boolean;
  /** Reads and processes everything that remains, at the end of a recording. */
  flush(): void;
  /** Number of bytes of one CPU's events that were read. */
  bytesRead(cpu: number): number;
  /**
   * Number of one CPU's processed events, with or without a handler. Comparable to `read events` in the
   * kernel's `stats` file.
   */
  events(cpu: number): number;
  /** Number of one CPU's events that were read but not yet processed. Undefined if unknown. */
  pendingEvents(cpu: number): number | undefined;
  /** Number of parts of one CPU's data that could not be decoded. No count contains the events in these parts. */
  givenUp(cpu: number): number;
  /**
   * Drops operations that began before `untilNs`, because recording was interrupted on all CPUs. Call this
   * between ticks.
   */
  voidUntil(untilNs: TimestampNs): void;
  /** Switches to the handlers of another plan. Absent if this reader does not support it. */
  replan?(plan: Pick<EventPlan, 'dispatcher' | 'onLoss'>): void;
  /** Number of one CPU's lost events, as marked in the pages or in the text. */
  flaggedLost(cpu: number): number;
  /** Number of events that were processed after younger events. */
  lateEvents(): number;
}
