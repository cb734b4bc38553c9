import { readFileSync } from 'node:fs';
import type { TimestampNs } from '../../model/time.ts';

/**
 * Returns a function that returns the time of the trace clock `mono` in ns. This clock is CLOCK_MONOTONIC of the first
 * time namespace. In another time namespace, `process.hrtime` differs from it by an offset, which the returned function
 * subtracts (see time_namespaces(7)).
 */
export function makeTraceClock(offsetsFile = '/proc/self/timens_offsets'): () => TimestampNs {
  const offsetNs = monotonicOffsetNs(offsetsFile);
  return () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1e9 + nanoseconds - offsetNs;
  };
}

/**
 * Reads the offset in ns from the line `monotonic SECONDS NANOSECONDS`. Returns 0 if the file cannot be read or lacks
 * this line.
 */
function monotonicOffsetNs(file: string): number {
  try {
    const line = /^monotonic\s+(-?\d+)\s+(\d+)/m.exec(readFileSync(file, 'latin1'));
    return line === null ? 0 : Number(line[1]) * 1e9 + Number(line[2]);
  } catch {
    return 0;
  }
}

/** Returns the CPU time in seconds that the calling thread has used. NaN if the kernel does not report it. */
export function threadCpuSeconds(): number {
  try {
    // Fields: nanoseconds on a CPU, nanoseconds in a run queue, time slices (Documentation/scheduler/sched-stats.rst).
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e9;
  } catch {
    return Number.NaN;
  }
}
