/** Converts `BufferStats` to and from trace-cmd's option CPUSTAT: the CPU, then the text of `per_cpu/cpuN/stats`. */
import type { BufferStats } from '../model/source.ts';

const LINES: readonly (readonly [keyof BufferStats, string])[] = [
  ['cpu', 'CPU'],
  ['entries', 'entries'],
  ['overrun', 'overrun'],
  ['commitOverrun', 'commit overrun'],
  ['bytes', 'bytes'],
  ['droppedEvents', 'dropped events'],
  ['readEvents', 'read events'],
];

export function cpuStatsText(stats: BufferStats): string {
  return LINES.map(([key, label]) => `${label}: ${stats[key]}\n`).join('');
}

/** Returns undefined if the text does not name the CPU. Missing or invalid counters become 0. */
export function parseCpuStats(text: string): BufferStats | undefined {
  const counts = new Map<string, number>();
  for (const [, label, digits] of text.matchAll(/^([A-Za-z ]+?)[ \t]*:[ \t]*(\d+)[ \t]*$/gm))
    counts.set(label, Number(digits));
  if (!counts.has('CPU')) return undefined;
  const count = (key: keyof BufferStats) => counts.get(LINES.find(([k]) => k === key)?.[1] ?? '') ?? 0;
  return {
    cpu: count('cpu'),
    entries: count('entries'),
    overrun: count('overrun'),
    commitOverrun: count('commitOverrun'),
    droppedEvents: count('droppedEvents'),
    readEvents: count('readEvents'),
    bytes: count('bytes'),
  };
}

/** Returns the instance's name from `Buffer: NAME`, which trace-cmd writes before the stats of an instance's CPUs. */
export function bufferOfCpuStats(text: string): string | undefined {
  return /^Buffer: (.+)$/m.exec(text)?.[1];
}
