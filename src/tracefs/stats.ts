import type { BufferStats } from '../model/source.ts';

/** Parses `per_cpu/cpuN/stats`. A missing line counts as 0. Values above 2^53 are rounded. */
export function parseStats(text: string, cpu: number): BufferStats {
  const counts = new Map<string, number>();
  for (const line of text.split('\n')) {
    const colon = line.lastIndexOf(':');
    if (colon < 0) continue;
    const digits = line.slice(colon + 1).trim();
    if (/^\d+$/.test(digits)) counts.set(line.slice(0, colon).trim(), Number(digits));
  }
  const count = (name: string) => counts.get(name) ?? 0;
  return {
    cpu,
    entries: count('entries'),
    overrun: count('overrun'),
    commitOverrun: count('commit overrun'),
    droppedEvents: count('dropped events'),
    readEvents: count('read events'),
    bytes: count('bytes'),
  };
}
