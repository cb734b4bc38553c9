import type { TimestampNs } from '../../model/time.ts';

/** What turns a buffer's recording into handler calls, from pages (`pipeline.ts`) or from text (`text-pipeline.ts`). */
export interface EventStream {
  /**
   * Reads what was recorded before `tickStart` and hands out what is settled; `maxRounds` bounds the work. False when
   * there is more, which is to be read soon, but not before others have had their turn.
   */
  tick(tickStart: TimestampNs, maxRounds: number): boolean;
  /** Reads and hands out everything there is. For the end of a capture, or of recording. */
  flush(): void;
  /** Bytes of events read so far, by CPU. */
  bytesRead(cpu: number): number;
  /** Events read so far, by CPU, those nobody handles included: what the kernel counts as `read events`. */
  events(cpu: number): number;
  /** Events of one CPU that were read and not yet handed out; undefined where that cannot be told at present. */
  pendingEvents(cpu: number): number | undefined;
  /** Grows with every piece of one CPU's recording whose events are in no count, because it could not be decoded. */
  givenUp(cpu: number): number;
  /** Recording was interrupted before `untilNs`, on all CPUs: what began before is void. Call it between ticks. */
  voidUntil(untilNs: TimestampNs): void;
  /** Events lost as the recording itself tells. */
  flaggedLost(cpu: number): number;
  /** Events handed out after younger ones had been. */
  lateEvents(): number;
}
