/** Chooses the sizes of the kernel's buffers and sub-buffers per CPU, and the time to the next drain. */
import type { DurationNs } from '../../model/time.ts';

const MIB = 1024 * 1024;
const FLOOR_BYTES = MIB / 2;
const CEILING_BYTES = 16 * MIB;

export interface BufferSizes {
  bufferBytesPerCpu: number;
  subbufferBytes: number;
  /** A message for the log if the agent could not use the configured size. */
  note: string | undefined;
}

/**
 * Each CPU gets 0.5 to 16 MiB, unless `perCpuBytes` is set. Large sub-buffers cost less CPU time per event, small ones
 * less per nearly empty read. The kernel disables interrupts while it copies a sub-buffer, so real-time kernels get
 * small ones.
 */
export function bufferSizes(
  wanted: { totalBytes: number; perCpuBytes?: number | undefined; subbufferBytes: number | 'auto' },
  kernel: { cpus: number; realtime: boolean },
  rate: 'low' | 'high',
): BufferSizes {
  const share = Math.floor(wanted.totalBytes / Math.max(1, kernel.cpus));
  const bufferBytesPerCpu = wanted.perCpuBytes ?? Math.min(CEILING_BYTES, Math.max(FLOOR_BYTES, share));
  const note =
    wanted.perCpuBytes === undefined && share < FLOOR_BYTES
      ? `buffer.total is too small for ${kernel.cpus} CPUs: each CPU gets the minimum of ${FLOOR_BYTES / 1024} KiB`
      : undefined;
  const auto = rate === 'high' && !kernel.realtime ? 65536 : 16384;
  const subbufferBytes = wanted.subbufferBytes === 'auto' ? auto : wanted.subbufferBytes;
  return { bufferBytesPerCpu, subbufferBytes, note };
}

/** For a buffer that the agent never reads. */
export function leastSizes(kernel: { cpus: number; realtime: boolean }): BufferSizes {
  return { ...bufferSizes({ totalBytes: 0, subbufferBytes: 'auto' }, kernel, 'low'), note: undefined };
}

/**
 * Longest time between two drains at a low rate. On machines with few CPUs, the time is shorter if a buffer could not
 * hold the fastest burst: two tasks that switch as fast as they can write 40 MB/s to one CPU's buffer.
 */
export const LONGEST_QUIET_NS = 250e6;
const FEW_CPUS = 8;
/** At a high rate, the time is also shorter if a buffer could not hold such a burst, but not shorter than this. */
const SHORTEST_BUSY_NS = 20e6;
/** 40 MB/s, times 1.5 as a safety margin. */
const BURST_BYTES_PER_NS = 0.06;
const SHORTEST_TICK_NS = 2e6;

export interface TickRule {
  rate: 'low' | 'high';
  drainIntervalNs: DurationNs;
  bufferBytesPerCpu: number;
  cpus: number;
}

/** Returns the time to the next drain. `fastestFillNs`: estimated time until the first buffer is full. */
export function nextTickNs(rule: TickRule, fastestFillNs: DurationNs): DurationNs {
  return Math.min(calmTickNs(rule), Math.max(SHORTEST_TICK_NS, fastestFillNs / 4));
}

function calmTickNs({ rate, drainIntervalNs, bufferBytesPerCpu, cpus }: TickRule): DurationNs {
  const burst = bufferBytesPerCpu / BURST_BYTES_PER_NS;
  const busy = Math.min(drainIntervalNs, Math.max(SHORTEST_BUSY_NS, burst));
  if (rate === 'high') return busy;
  return Math.max(cpus <= FEW_CPUS ? Math.min(LONGEST_QUIET_NS, burst) : LONGEST_QUIET_NS, busy);
}
