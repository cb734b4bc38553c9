/** Counts the events and losses of a text per CPU, and calls `onLoss`. */
import type { TimestampNs } from '../../model/time.ts';
import type { TextTarget } from './types.ts';

export interface Tally {
  /** Counts an event with `size` bytes in the ring buffer. Calls `onLoss` first if `lose` was called for the CPU. */
  count(cpu: number, stamp: TimestampNs, size: number): void;
  /** Counts lost events of a CPU. The next `count` of the CPU calls `onLoss`. */
  lose(cpu: number, events: number): void;
  events(cpu: number): number;
  recordBytes(cpu: number): number;
  flaggedLost(cpu: number): number;
  /** Number of events with an earlier timestamp than a previous event. */
  lateEvents(): number;
  latestNs(): TimestampNs;
}

export function makeTally(cpuCount: number, target: Pick<TextTarget, 'onLoss'>): Tally {
  const counts = new Float64Array(cpuCount);
  const sizes = new Float64Array(cpuCount);
  const lost = new Float64Array(cpuCount);
  const lossPending = new Uint8Array(cpuCount);
  let late = 0;
  /** In an array, because V8 would allocate an object for each new double. */
  const latest = new Float64Array(1);
  return {
    count: (cpu, stamp, size) => {
      counts[cpu]++;
      sizes[cpu] += size;
      if (lossPending[cpu] !== 0) {
        lossPending[cpu] = 0;
        target.onLoss(cpu, stamp);
      }
      if (stamp < latest[0]) late++;
      else latest[0] = stamp;
    },
    lose: (cpu, events) => {
      lost[cpu] += events;
      lossPending[cpu] = 1;
    },
    events: (cpu) => counts[cpu] ?? 0,
    recordBytes: (cpu) => sizes[cpu] ?? 0,
    flaggedLost: (cpu) => lost[cpu] ?? 0,
    lateEvents: () => late,
    latestNs: () => latest[0],
  };
}
