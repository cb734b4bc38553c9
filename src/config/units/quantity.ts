/** Converts texts such as `10ms`, `64MiB`, `0-3,8`. Parsers throw an `Error` that describes the allowed form. */
import type { DurationNs } from '../../model/time.ts';

const DURATION_UNITS: Record<string, number> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const SIZE_UNITS: Record<string, number> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const MAX_CPU = 8191;

export const DURATION_PATTERN = /^(\d{1,16})(?:\.(\d{1,9}))?(ns|us|ms|s|m|h)$/;
export const SIZE_PATTERN = /^(\d{1,16})(KiB|MiB|GiB)?$/;
export const PERCENT_PATTERN = /^\d{1,4}(\.\d{1,3})?%$/;
export const CPU_LIST_PATTERN = /^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/;

/** Parses a duration such as `100us`, `1.5ms` or `2m` into whole nanoseconds. */
export function parseDuration(text: string): DurationNs {
  const match = DURATION_PATTERN.exec(text);
  if (match === null) {
    const guess = /^\d+(\.\d+)?$/.test(text) ? ` (did you mean "${text}s"?)` : '';
    throw new Error(
      `${quoted(text)} is not a duration${guess}: write a number and one of ns, us, ms, s, m, h, as in 10ms`,
    );
  }
  const [, whole, fraction = '', unit] = match;
  // Use integers, because the floating-point product 1.005 * 1000 is not 1005.
  const weight = DURATION_UNITS[unit];
  const ns = Number(whole) * weight + (Number(fraction || '0') * weight) / 10 ** fraction.length;
  if (!Number.isSafeInteger(ns))
    throw new Error(`${quoted(text)} is not a whole number of nanoseconds below 2^53`);
  return ns;
}

/** Formats nanoseconds as a duration that `parseDuration` accepts, as a whole number of the largest possible unit. */
export function formatDuration(ns: DurationNs): string {
  return inLargestUnit(ns, DURATION_UNITS, 's');
}

/** Parses a size such as `64MiB` or `512` into bytes. */
export function parseSize(text: string): number {
  const match = SIZE_PATTERN.exec(text);
  if (match === null) {
    const si = /^(\d+) ?([KMG])B?$/i.exec(text);
    const guess = si ? ` (did you mean "${si[1]}${si[2].toUpperCase()}iB"?)` : '';
    throw new Error(
      `${quoted(text)} is not a size${guess}: write a whole number of bytes, KiB, MiB or GiB, as in 64MiB`,
    );
  }
  const bytes = Number(match[1]) * SIZE_UNITS[match[2] ?? ''];
  if (!Number.isSafeInteger(bytes)) throw new Error(`${quoted(text)} is too large`);
  return bytes;
}

/** Formats bytes as a size that `parseSize` accepts, as a whole number of the largest possible unit. */
export function formatSize(bytes: number): string {
  return inLargestUnit(bytes, SIZE_UNITS, '');
}

/** Parses a percentage such as `5%` into a share: 0.05. */
export function parsePercent(text: string): number {
  if (PERCENT_PATTERN.test(text)) return Number(text.slice(0, -1)) / 100;
  const guess = /^\d+(\.\d+)?$/.test(text) ? ` (did you mean "${text}%"?)` : '';
  throw new Error(`${quoted(text)} is not a percentage${guess}: a number and %, as in 5%`);
}

/** Formats a share such as 0.05 as a percentage: `5%`. */
export function formatPercent(share: number): string {
  return `${Number((share * 100).toFixed(3))}%`;
}

/** Parses a list such as `0-3,8` into ascending CPU numbers without duplicates. */
export function parseCpuList(text: string): number[] {
  if (!CPU_LIST_PATTERN.test(text)) {
    throw new Error(
      `${quoted(text)} is not a list of CPUs: write numbers and ranges separated by commas, as in 0-3,8`,
    );
  }
  const cpus = new Set<number>();
  for (const part of text.split(',')) {
    const [first, last = first] = part.split('-').map(Number);
    if (last > MAX_CPU)
      throw new Error(`there is no CPU ${last}: the kernel numbers them from 0 to ${MAX_CPU}`);
    if (first > last) throw new Error(`the range ${quoted(part)} is descending: write ${last}-${first}`);
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** Formats ascending CPU numbers as a list in the kernel's format. */
export function formatCpuList(cpus: readonly number[]): string {
  const ranges: string[] = [];
  for (let i = 0; i < cpus.length; i++) {
    const first = cpus[i];
    while (cpus[i + 1] === cpus[i] + 1) i++;
    ranges.push(first === cpus[i] ? `${first}` : `${first}-${cpus[i]}`);
  }
  return ranges.join(',');
}

function inLargestUnit(value: number, units: Record<string, number>, ofZero: string): string {
  if (value === 0) return `0${ofZero}`;
  let best = '';
  let weight = 0;
  for (const [unit, w] of Object.entries(units)) if (value % w === 0) [best, weight] = [unit, w];
  return `${value / weight}${best}`;
}

/** Formats a config value for messages. Does not format numbers as JSON, because JSON has no NaN. */
export function shownValue(value: unknown): string {
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
