import type { TimestampNs } from '../../model/time.ts';
import type { EventPlan } from '../plan/plan.ts';

/** Wall time that a stream has spent in its phases. */
export interface PhaseTimes {
  /** Reading from the kernel or a file. */
  readMs: number;
  /** Decoding, merging and handling events. */
  decodeMs: number;
}

/**
 * Decodes the data of a buffer, from pages (`pipeline.ts`) or from text (`text-pipeline.ts`), and calls the events'
 * handlers.
 */
export interface EventStream {
  /** Total times of all ticks. */
  readonly spent: Readonly<PhaseTimes>;
  /**
   * Reads what was recorded before `tickStart`, and processes the events that are older than the watermark (see
   * `pipeline.ts`). Returns true if nothing from before `tickStart` is left to read. `maxRounds` limits the work; if
   * this returns false, the caller should drain the other buffers, then call `tick` again.
   */
  tick(tickStart: TimestampNs, maxRounds: number): boolean;
  /** Reads and processes all remaining events. Call this when nothing more will be recorded. */
  flush(): void;
  /** Number of bytes of one CPU's events that were read. For text, an estimate of their size in the kernel's buffer. */
  bytesRead(cpu: number): number;
  /**
   * Number of one CPU's events that were processed, including events without a handler. Comparable to `read events` in
   * the kernel's `stats` file.
   */
  events(cpu: number): number;
  /** Number of one CPU's events that were read but not yet processed. Undefined if unknown. */
  pendingEvents(cpu: number): number | undefined;
  /**
   * Number of pages or text lines that could not be decoded completely. For pages: of one CPU; for text: of all CPUs.
   * Events that could not be decoded are in no other count.
   */
  givenUp(cpu: number): number;
  /** Call this between ticks if recording was interrupted on all CPUs. Drops operations that began before `untilNs`. */
  voidUntil(untilNs: TimestampNs): void;
  /** Switches to the handlers of another plan. Absent if this reader does not support it. */
  replan?(plan: Pick<EventPlan, 'dispatcher' | 'onLoss'>): void;
  /** Number of one CPU's lost events according to the pages or the text. */
  flaggedLost(cpu: number): number;
  /** Number of events that were processed after events with later timestamps. */
  lateEvents(): number;
}
