/**
 * Converts timestamps of the trace clock to wall-clock time. Measures again every 10 s, because NTP slews the wall
 * clock.
 */
import type { WallTime } from '../../model/span.ts';
import type { TimestampNs } from '../../model/time.ts';

const MS = 1e6;
const S = 1e9;
/** If the clocks have moved apart by more than this, somebody has set the wall clock. */
const STEP_NS = 5 * MS;
const MEASURE_EVERY_NS = 10 * S;
/** A measurement ends when its bounds differ by at most the duration of this many clock reads. */
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

/** `traceNow`: trace clock in ns. `wallMs`: milliseconds since 1970. */
export function makeWallClock(traceNow: () => TimestampNs, wallMs: () => number = Date.now): WallClock {
  /** Wall clock at time 0 of the trace clock: whole milliseconds and additional nanoseconds. */
  let baseMs = 0;
  let baseNs = 0;
  let measuredNs = 0;

  /**
   * Measures the difference between the clocks. Node's wall clock has only whole milliseconds, so the bounds come close
   * only when a read catches the change of the millisecond.
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
