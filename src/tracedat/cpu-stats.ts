/**
 * Converts `BufferStats` to and from the text of `per_cpu/cpuN/stats` after a line that names the CPU. This is
 * trace-cmd's option CPUSTAT. Source: kernel/trace/trace.c, tracing_stats_read().
 */
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

/** Returns undefined if the text lacks the CPU's line. A missing or invalid line counts as 0. */
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

/** Name of an instance in the line that trace-cmd writes before the texts about its CPUs. Undefined for other texts. */
export function bufferOfCpuStats(text: string): string | undefined {
  return /^Buffer: (.+)$/m.exec(text)?.[1];
}
