import { readFileSync } from 'node:fs';
import type { TimestampNs } from '../../model/time.ts';

/** Returns the time of the trace clock `mono` in ns. In a time namespace, `process.hrtime` has another offset. */
export function makeTraceClock(offsetsFile = '/proc/self/timens_offsets'): () => TimestampNs {
  const offsetNs = monotonicOffsetNs(offsetsFile);
  return () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1e9 + nanoseconds - offsetNs;
  };
}

/** Offset in ns. 0 if the file cannot be read, or has no line `monotonic SECONDS NANOSECONDS`. */
function monotonicOffsetNs(file: string): number {
  try {
    const line = /^monotonic\s+(-?\d+)\s+(\d+)/m.exec(readFileSync(file, 'latin1'));
    return line === null ? 0 : Number(line[1]) * 1e9 + Number(line[2]);
  } catch {
    return 0;
  }
}

/** CPU time of the calling thread. NaN if the kernel does not report it. */
export function threadCpuSeconds(): number {
  try {
    // The first field is nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst).
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e9;
  } catch {
    return Number.NaN;
  }
}
