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
 * Divides the total between the CPUs: 0.5 to 16 MiB per CPU, unless `perCpuBytes` is set. Large sub-buffers
 * cost less CPU time per event. Small sub-buffers cost less CPU time per check of a quiet CPU. Real-time
 * kernels always get small sub-buffers, because the kernel disables interrupts while it copies a sub-buffer.
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

/** Returns the smallest sizes, for a buffer that the agent never reads. */
export function leastSizes(kernel: { cpus: number; realtime: boolean }): BufferSizes {
  return { ...bufferSizes({ totalBytes: 0, subbufferBytes: 'auto' }, kernel, 'low'), note: undefined };
}

/**
 * Longest time between two reads if all probes have a low rate. On machines with few CPUs, the time is
 * shortened so that the buffer can hold a sudden burst: the fastest burst of these probes (two tasks that
 * switch as fast as they can) writes 40 MB/s on its CPU. On machines with many CPUs, buffers are smaller and
 * each read costs more, so the time is not shortened in advance. A burst can then lose events until the next
 * read notices the fill rate and shortens the time.
 */
export const LONGEST_QUIET_NS = 250e6;
const FEW_CPUS = 8;
/** Rate of the fastest burst (40 MB/s) times 1.5, as a safety margin. */
const BURST_BYTES_PER_NS = 0.06;
const SHORTEST_TICK_NS = 2e6;

export interface TickRule {
  rate: 'low' | 'high';
  drainIntervalNs: DurationNs;
  bufferBytesPerCpu: number;
  cpus: number;
}

/**
 * Returns the time to the next tick (drain). The time depends on the rate of the probes, and is shorter if a
 * buffer fills fast.
 */
export function nextTickNs(rule: TickRule, fastestFillNs: DurationNs): DurationNs {
  return Math.min(calmTickNs(rule), Math.max(SHORTEST_TICK_NS, fastestFillNs / 4));
}

function calmTickNs({ rate, drainIntervalNs, bufferBytesPerCpu, cpus }: TickRule): DurationNs {
  if (rate === 'high') return drainIntervalNs;
  const burst = cpus <= FEW_CPUS ? bufferBytesPerCpu / BURST_BYTES_PER_NS : LONGEST_QUIET_NS;
  return Math.max(Math.min(LONGEST_QUIET_NS, burst), drainIntervalNs);
}
