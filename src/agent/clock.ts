import type { TimestampNs } from '../model/time.ts';

/** Now, on the clock of the trace (`mono` is CLOCK_MONOTONIC, which `process.hrtime` reads). */
export function monotonicNow(): TimestampNs {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}
