import type { TimestampNs } from '../../model/time.ts';
import type { EventPlan } from '../plan/plan.ts';

/** Wall time that a stream has spent, by phase. */
export interface PhaseTimes {
  readMs: number;
  /** Includes merging and handling events. */
  decodeMs: number;
}

/** Decodes the data of a buffer, and calls the events' handlers. */
export interface EventStream {
  /** Total of all ticks. */
  readonly spent: Readonly<PhaseTimes>;
  /** Reads what was recorded before `tickStart`. Returns false if something is left to read; then call it again. */
  tick(tickStart: TimestampNs, maxRounds: number): boolean;
  /** Call this when nothing more will be recorded. */
  flush(): void;
  /** For text, an estimate of the size in the kernel's buffer. */
  bytesRead(cpu: number): number;
  /** Processed events, comparable to `read events` in the kernel's `stats` file. */
  events(cpu: number): number;
  /** Events that were read but not yet processed. Undefined if unknown. */
  pendingEvents(cpu: number): number | undefined;
  /** Pages of this CPU, or text lines without a CPU, that could not be decoded completely. */
  givenUp(cpu: number): number;
  /** Call this after an interruption of recording. Drops operations that began before `untilNs`. */
  voidUntil(untilNs: TimestampNs): void;
  /** Switches to another plan. Absent if this reader does not support it. */
  replan?(plan: Pick<EventPlan, 'dispatcher' | 'onLoss'>): void;
  /** Lost events according to the pages or the text. */
  flaggedLost(cpu: number): number;
  /** Events that were processed after events with later timestamps. */
  lateEvents(): number;
}
