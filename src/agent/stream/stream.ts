import type { TimestampNs } from '../../model/time.ts';

/** Time by the clock that a stream has spent in its phases. */
export interface PhaseTimes {
  /** Reading from the kernel or a file. */
  readMs: number;
  /** Decoding, merging and handling events. */
  decodeMs: number;
}

/** Turns a buffer's recording into handler calls, from pages (`pipeline.ts`) or from text (`text-pipeline.ts`). */
export interface EventStream {
  /** Grows with each tick. */
  readonly spent: Readonly<PhaseTimes>;
  /**
   * Reads what was recorded before `tickStart` and processes the events older than the watermark; `maxRounds` bounds
   * the work. Returns false when there is more to read: call it again soon, after the other buffers.
   */
  tick(tickStart: TimestampNs, maxRounds: number): boolean;
  /** Reads and processes everything that remains, at the end of a recording. */
  flush(): void;
  /** Bytes of events read so far, by CPU. */
  bytesRead(cpu: number): number;
  /** Events read so far, by CPU, including events without a handler: the kernel's `read events`. */
  events(cpu: number): number;
  /** Events of one CPU that were read and not yet processed; undefined when the number is not known. */
  pendingEvents(cpu: number): number | undefined;
  /** Number of parts of one CPU's recording that could not be decoded; their events are missing from all counts. */
  givenUp(cpu: number): number;
  /**
   * Recording was interrupted before `untilNs`, on all CPUs: intervals that are open then are void. Call it between
   * ticks.
   */
  voidUntil(untilNs: TimestampNs): void;
  /** Lost events that the recording itself reports. */
  flaggedLost(cpu: number): number;
  /** Events processed after younger events. */
  lateEvents(): number;
}
