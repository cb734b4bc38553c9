/**
 * CPU time of the capture thread by phase. The streams measure wall time, which includes waits for a CPU. Therefore
 * this file multiplies the wall times by the share of CPU time in the thread's busy time.
 */
import type { PhaseCpu } from '../contract/pulse.ts';
import type { PhaseTimes } from '../stream/stream.ts';

/** Totals of the calling thread. */
export interface ThreadTimes {
  cpuMs: number;
  /** Time during which the event loop was not idle. */
  busyMs: number;
}

export function threadTimes(): ThreadTimes {
  const { user, system } = process.threadCpuUsage();
  return { cpuMs: (user + system) / 1e3, busyMs: performance.eventLoopUtilization().active };
}

/** Call the returned function after each tick. The caller may change the list `streams` between calls. */
export function makePhaseCpu(streams: readonly { spent: PhaseTimes }[], now = threadTimes): () => PhaseCpu {
  const cpu: PhaseCpu = { readSeconds: 0, decodeSeconds: 0 };
  let before = { ...now(), readMs: 0, decodeMs: 0 };
  return () => {
    const after = { ...now(), readMs: 0, decodeMs: 0 };
    for (const { spent } of streams) {
      after.readMs += spent.readMs;
      after.decodeMs += spent.decodeMs;
    }
    const busyMs = after.busyMs - before.busyMs;
    const share = busyMs > 0 ? Math.min(1, (after.cpuMs - before.cpuMs) / busyMs) : 0;
    // If a reload has removed a stream, the sum is lower than before.
    cpu.readSeconds += (Math.max(0, after.readMs - before.readMs) * share) / 1e3;
    cpu.decodeSeconds += (Math.max(0, after.decodeMs - before.decodeMs) * share) / 1e3;
    before = after;
    return cpu;
  };
}
