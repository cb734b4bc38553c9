/**
 * Converts timestamps of the trace clock to wall-clock time. Node returns the wall clock only in whole milliseconds. So
 * this file waits for the moment when the millisecond changes, and compares the two clocks at this moment, with an
 * error below 1 µs. Repeats the measurement if somebody has set the wall clock, and every 10 s, because NTP slews the
 * wall clock.
 */
import type { WallTime } from '../../model/span.ts';
import type { TimestampNs } from '../../model/time.ts';

const MS = 1e6;
const S = 1e9;
/** If the difference between the two clocks has changed by more than this, somebody has set the wall clock. */
const STEP_NS = 5 * MS;
const MEASURE_EVERY_NS = 10 * S;
/**
 * A measurement ends when its two bounds differ by at most the duration of this many clock reads, or after
 * LONGEST_MEASUREMENT_NS.
 */
const EXACT_READS = 3;
const SLOWEST_READ_NS = 5_000;
const LONGEST_MEASUREMENT_NS = 20 * MS;
/** If the bounds of a measurement differ by more than this, its result is used only if the wall clock was set. */
const GOOD_NS = 50_000;

export interface WallClock {
  at(stampNs: TimestampNs): WallTime;
  /** Measures again if necessary. Called about once a second. */
  refresh(): void;
}

/** `traceNow` returns the time of the trace clock in ns; `wallMs` returns the milliseconds since 1970. */
export function makeWallClock(traceNow: () => TimestampNs, wallMs: () => number = Date.now): WallClock {
  /** Wall clock at time 0 of the trace clock, split into whole milliseconds and additional nanoseconds. */
  let baseMs = 0;
  let baseNs = 0;
  let measuredNs = 0;

  /**
   * Measures the difference between the clocks. Reads the wall clock again and again, each time between two reads of
   * the trace clock. Each read gives a lower and an upper bound of the difference. When the wall clock's millisecond
   * changes, the bounds come close together. If the thread is preempted during this read, the bounds stay wide, and the
   * loop waits for the next millisecond.
   */
  const measure = (wasSet: boolean): void => {
    const startMs = wallMs();
    const startNs = traceNow();
    let nowNs = startNs;
    // Bounds of the wall clock at `startNs`, in nanoseconds after `startMs`.
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
