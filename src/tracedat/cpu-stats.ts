/**
 * `BufferStats` ↔ text as `per_cpu/cpuN/stats` prints it, below a line that names the CPU: trace-cmd's option CPUSTAT.
 * Source: kernel/trace/trace.c, tracing_stats_read().
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

/** Undefined when the text names no CPU; a line that is absent or no number counts as 0. */
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

/** The buffer whose CPUs the following texts are about: trace-cmd puts such a line before those of an instance. */
export function bufferOfCpuStats(text: string): string | undefined {
  return /^Buffer: (.+)$/m.exec(text)?.[1];
}
