import { readFileSync } from 'node:fs';
import type { TimestampNs } from '../model/time.ts';

/** Now, on the clock of the trace (`mono` is CLOCK_MONOTONIC, which `process.hrtime` reads). */
export function monotonicNow(): TimestampNs {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}

/** CPU time the calling thread has used, in seconds; NaN where the kernel does not tell. */
export function threadCpuSeconds(): number {
  try {
    // Nanoseconds on CPU, waiting, time slices: Documentation/scheduler/sched-stats.rst.
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e9;
  } catch {
    return Number.NaN;
  }
}
