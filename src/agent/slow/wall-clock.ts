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
/** A measurement is good when the reads around it are this close together. */
const GOOD_NS = 5_000;
const TRIES = 3;
/** The next millisecond of the wall clock is at most this far away, with a margin. */
const LONGEST_SPIN_NS = 3 * MS;

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

  const measure = (): void => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < TRIES && best > GOOD_NS; i++) {
      const { tickMs, stampNs, widthNs } = nextTick(traceNow, wallMs);
      if (widthNs >= best) continue;
      best = widthNs;
      const stampMs = Math.floor(stampNs / MS);
      baseMs = tickMs - stampMs - 1;
      baseNs = MS - (stampNs - stampMs * MS);
    }
    measuredNs = traceNow();
  };

  const at = (stampNs: TimestampNs): WallTime => {
    const stampMs = Math.floor(stampNs / MS);
    const ns = baseNs + (stampNs - stampMs * MS);
    const ms = baseMs + stampMs + Math.floor(ns / MS);
    const seconds = Math.floor(ms / 1000);
    return [seconds, (ms - seconds * 1000) * MS + Math.floor(ns % MS)];
  };

  measure();
  return {
    at,
    refresh: () => {
      const nowNs = traceNow();
      const [seconds, ns] = at(nowNs);
      const apartNs = Math.abs((wallMs() - seconds * 1000) * MS - ns);
      if (apartNs > STEP_NS || nowNs - measuredNs > MEASURE_EVERY_NS) measure();
    },
  };
}

/** Waits for the next millisecond of the wall clock. */
function nextTick(traceNow: () => TimestampNs, wallMs: () => number) {
  const firstMs = wallMs();
  const startNs = traceNow();
  let beforeNs = startNs;
  for (;;) {
    const tickMs = wallMs();
    const afterNs = traceNow();
    if (tickMs !== firstMs || afterNs - startNs > LONGEST_SPIN_NS) {
      return { tickMs, stampNs: beforeNs + (afterNs - beforeNs) / 2, widthNs: afterNs - beforeNs };
    }
    beforeNs = afterNs;
  }
}
