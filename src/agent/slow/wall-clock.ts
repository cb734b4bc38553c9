/**
 * Converts a stamp of the trace clock to the wall clock. Node gives the wall clock in whole milliseconds, but the
 * moment when it changes is known to less than a microsecond, and gives the difference of both clocks. It is measured
 * again when the wall clock was stepped, and every few seconds, because the wall clock is also slewed.
 */
import type { WallTime } from '../../model/span.ts';
import type { TimestampNs } from '../../model/time.ts';

const MS = 1e6;
const S = 1e9;
/** If both clocks differ by more than this, somebody has set the wall clock. */
const STEP_NS = 5 * MS;
const MEASURE_EVERY_NS = 10 * S;
/** A measurement ends when its bounds are as close together as this many reads take, or after a time. */
const EXACT_READS = 3;
const SLOWEST_READ_NS = 5_000;
const LONGEST_MEASUREMENT_NS = 20 * MS;
/** Bounds that are farther apart replace an earlier measurement only if somebody has set the wall clock. */
const GOOD_NS = 50_000;

export interface WallClock {
  at(stampNs: TimestampNs): WallTime;
  /** Called about once a second. */
  refresh(): void;
}

/** `traceNow` returns the trace clock; `wallMs` the milliseconds since 1970. */
export function makeWallClock(traceNow: () => TimestampNs, wallMs: () => number = Date.now): WallClock {
  /** Wall clock when the trace clock was 0: whole milliseconds, and the nanoseconds to add. */
  let baseMs = 0;
  let baseNs = 0;
  let measuredNs = 0;

  /**
   * Each read of the wall clock is between two reads of the trace clock, and so bounds the difference of the clocks from
   * both sides. At a tick of the wall clock the bounds come together. If the thread loses the CPU during a read, that read
   * gives wide bounds, and the loop waits for the next tick.
   */
  const measure = (wasSet: boolean): void => {
    const startMs = wallMs();
    const startNs = traceNow();
    let nowNs = startNs;
    // By how much the wall clock is ahead, counted from the start.
    let low = Number.NEGATIVE_INFINITY;
    let high = Number.POSITIVE_INFINITY;
    let readNs = SLOWEST_READ_NS;
    do {
      const beforeNs = nowNs;
      const wallNs = (wallMs() - startMs) * MS;
      nowNs = traceNow();
      readNs = Math.min(readNs, nowNs - beforeNs);
      low = Math.max(low, wallNs - (nowNs - startNs));
      high = Math.min(high, wallNs + MS - (beforeNs - startNs));
    } while (high - low > EXACT_READS * readNs && nowNs - startNs < LONGEST_MEASUREMENT_NS);
    if (high - low > GOOD_NS && !wasSet) return;
    const startMsOfTrace = Math.floor(startNs / MS);
    const aheadNs = (low + high) / 2 - (startNs - startMsOfTrace * MS);
    const aheadMs = Math.floor(aheadNs / MS);
    baseMs = startMs - startMsOfTrace + aheadMs;
    baseNs = aheadNs - aheadMs * MS;
    measuredNs = nowNs;
  };

  const at = (stampNs: TimestampNs): WallTime => {
    const stampMs = Math.floor(stampNs / MS);
    const ns = baseNs + (stampNs - stampMs * MS);
    const ms = baseMs + stampMs + Math.floor(ns / MS);
    const seconds = Math.floor(ms / 1000);
    return [seconds, (ms - seconds * 1000) * MS + Math.floor(ns % MS)];
  };

  measure(true);
  return {
    at,
    refresh: () => {
      const nowNs = traceNow();
      const [seconds, ns] = at(nowNs);
      const apartNs = Math.abs((wallMs() - seconds * 1000) * MS - ns);
      const wasSet = apartNs > STEP_NS;
      if (wasSet || nowNs - measuredNs > MEASURE_EVERY_NS) measure(wasSet);
    },
  };
}
