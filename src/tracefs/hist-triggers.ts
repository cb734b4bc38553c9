/** With a hist trigger, the kernel counts hits of an event by field values, without recording the event. */
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import type { KernelCountRequest } from '../model/kernel-count.ts';
import { tryReadText, writeControl } from './files.ts';

const SMALLEST = 128;
const LARGEST = 131_072;

export interface HistTrigger {
  /** Throws a `KernelError` if the kernel refuses the trigger. */
  add(): void;
  /** Returns undefined if the instance no longer has the trigger. */
  read(): HistReading | undefined;
  /** Throws `KernelError`. */
  remove(): void;
}

export interface HistReading {
  /** Empty also if the kernel lacks memory to sort the entries. */
  entries: { values: bigint[]; hits: number }[];
  /** Number of hits that the kernel counted, also in entries that it does not show. NaN if the file does not say. */
  hits: number;
  /** Number of hits that the kernel did not count, because its table was full. */
  dropped: number;
  isPaused: boolean;
}

/** Throws a `KernelError` if the kernel has no hist triggers. */
export function requireHistTriggers(root: string): void {
  const file = join(root, 'README');
  if (tryReadText(file)?.includes('hist:keys=')) return;
  const remedy =
    'this kernel is built without hist triggers (CONFIG_HIST_TRIGGERS): remove count_in, so that the agent counts';
  throw new KernelError({ file: join(root, 'events/*/*/hist'), errno: 'ENOENT', action: 'count in', remedy });
}

/** An instance cannot have two triggers with the same event and keys. */
export function histTrigger(dir: string, { event, keys, room }: KernelCountRequest): HistTrigger {
  const eventDir = join('events', event.replace(':', '/'));
  const size = 2 ** Math.ceil(Math.log2(Math.min(LARGEST, Math.max(SMALLEST, room))));
  const text = `hist:keys=${keys.join(',')}:size=${size}`;
  return {
    add: () => writeControl(dir, join(eventDir, 'trigger'), text),
    read: () => parseHist(tryReadText(join(dir, eventDir, 'hist')) ?? '', keys),
    remove: () => writeControl(dir, join(eventDir, 'trigger'), `!${text}`),
  };
}

/** Parses an event's file `hist`. Returns undefined if the event has no trigger with these keys. */
export function parseHist(text: string, keys: readonly string[]): HistReading | undefined {
  const head = `# trigger info: hist:keys=${keys.join(',')}:vals=hitcount:`;
  const parts = text.split('# event histogram');
  // In the line `# trigger info`, kernel 7.3 writes the key common_cpu twice.
  const part = parts.find((one) => one.replace(/common_cpucommon_cpu(?=[,:])/, 'common_cpu').includes(head));
  if (part === undefined) return undefined;
  const entries = Array.from(part.matchAll(/^\{ (.+) \} hitcount: +(\d+)/gm), ([, values, hits]) => ({
    values: Array.from(values.matchAll(/: +(\d+)/g), ([, value]) => BigInt(value)),
    hits: Number(hits),
  }));
  const total = (name: string) => Number(new RegExp(`^ *${name}: (\\d+)`, 'm').exec(part)?.[1] ?? Number.NaN);
  return {
    entries,
    hits: total('Hits'),
    dropped: total('Dropped') || 0,
    isPaused: / \[paused\]$/m.test(part),
  };
}
