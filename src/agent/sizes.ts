/** How much kernel memory each CPU's buffer gets, and in what pieces it is read. */
import type { DurationNs } from '../model/time.ts';

const MIB = 1024 * 1024;
const FLOOR_BYTES = MIB / 2;
const CEILING_BYTES = 16 * MIB;

export interface BufferSizes {
  bufferBytesPerCpu: number;
  subbufferBytes: number;
  /** Said once in the log where the config could not be followed. */
  note: string | undefined;
}

/**
 * Shares the total out over the CPUs, 0.5 to 16 MiB each. Sub-buffers: large ones cost less an event, small ones
 * less a look at a quiet CPU; on real-time kernels the time one copy takes with interrupts off counts.
 */
export function bufferSizes(
  wanted: { totalBytes: number; perCpuBytes?: number; subbufferBytes: number | 'auto' },
  kernel: { cpus: number; realtime: boolean },
  rate: 'low' | 'high',
): BufferSizes {
  const share = Math.floor(wanted.totalBytes / Math.max(1, kernel.cpus));
  const bufferBytesPerCpu = wanted.perCpuBytes ?? Math.min(CEILING_BYTES, Math.max(FLOOR_BYTES, share));
  const note =
    wanted.perCpuBytes === undefined && share < FLOOR_BYTES
      ? `buffer.total is too small for ${kernel.cpus} CPUs: each gets the least, ${FLOOR_BYTES / 1024} KiB`
      : undefined;
  const auto = rate === 'high' && !kernel.realtime ? 65536 : 16384;
  const subbufferBytes = wanted.subbufferBytes === 'auto' ? auto : wanted.subbufferBytes;
  return { bufferBytesPerCpu, subbufferBytes, note };
}

/** Between two looks at quiet buffers with probes of low rate. */
const QUIET_TICK_NS = 100e6;
const SHORTEST_TICK_NS = 2e6;

/** Time to the next tick: by the rate of the probes, sooner when a buffer fills fast. */
export function nextTickNs(
  rate: 'low' | 'high',
  drainIntervalNs: DurationNs,
  fastestFillNs: DurationNs,
): DurationNs {
  const calm = rate === 'high' ? drainIntervalNs : Math.max(QUIET_TICK_NS, drainIntervalNs);
  return Math.min(calm, Math.max(SHORTEST_TICK_NS, fastestFillNs / 4));
}
