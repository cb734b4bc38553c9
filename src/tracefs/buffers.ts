/** Sets buffer sizes, clock and options of an instance. Source: kernel/trace/trace.c, ring_buffer.c. */
import { freemem } from 'node:os';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import type { PageLayout } from '../model/format.ts';
import { possibleCpus } from './cpu-dirs.ts';
import { readText, tryReadText, writeControl } from './files.ts';
import { parseHeaderPage } from './layout.ts';

export interface BufferRequest {
  bufferBytesPerCpu: number;
  subbufferBytes: number;
  /** One of the names in the file `trace_clock`. The agent uses `mono`. */
  clock: string;
}

export interface BuffersInForce {
  bufferBytesPerCpu: number;
  subbufferBytes: number;
  /** Sentences about sizes that are smaller than requested. */
  warnings: string[];
}

/** Overrides what a new instance inherits from the top level, where another user may have changed these options. */
const OPTIONS: Readonly<Record<string, '0' | '1'>> = {
  markers: '1',
  'context-info': '1',
  stacktrace: '0',
  userstacktrace: '0',
  'event-fork': '0',
  'function-fork': '0',
  'pause-on-trace': '0',
  copy_trace_marker: '0',
  'latency-format': '0',
  raw: '0',
  hex: '0',
  bin: '0',
  fields: '0',
  // Print function names without addresses and offsets, because people read the traces of latency tracers.
  'sym-addr': '0',
  'sym-offset': '0',
};

/** Option that makes the kernel copy markers from the top level to the instance. */
export const COPY_MARKERS = 'options/copy_trace_marker';

const SMALLEST_KB = 4;
/** Maximum share of free memory for the buffers of all CPUs, after the kernel refused the requested size. */
const FALLBACK_SHARE = 1 / 8;

/** Writes a value to a control file. The path is relative to the instance's directory. Throws `KernelError`. */
export type WriteControl = (file: string, value: string) => void;

/** Also stops recording. At the top level, `write` must save old values in the journal. Throws `KernelError`. */
export function prepareBuffers(
  dir: string,
  wanted: BufferRequest,
  write: WriteControl = (file, value) => writeControl(dir, file, value),
): BuffersInForce {
  const warnings: string[] = [];
  write('tracing_on', '0');
  // If overwrite is off, the kernel drops new events and does not flag the loss in the pages.
  write('options/overwrite', '1');
  setOptions({ dir, set: write }, OPTIONS);

  // Kernels 5.10 and 6.1 enlarge the top level's buffer when an event is enabled, unless the size was set before. First
  // make the buffer small, because the kernel holds two buffers while the sub-buffer size changes.
  write('buffer_size_kb', String(SMALLEST_KB));
  const subbufferBytes = setSubbuffers(dir, wanted.subbufferBytes, warnings, write);
  const cpus = Math.max(1, possibleCpus(dir).length);
  const wantedKb = Math.ceil(wanted.bufferBytesPerCpu / 1024);
  const gotKb = writeHalving(
    (kb) => write('buffer_size_kb', String(kb)),
    { first: wantedKb, least: SMALLEST_KB },
    () => (freemem() * FALLBACK_SHARE) / cpus / 1024,
  );
  if (gotKb < wantedKb)
    warnings.push(`the kernel has no memory for ${wantedKb} KiB of buffer per CPU: using ${gotKb} KiB`);

  // Set the clock after the sizes, because writing the clock empties the buffer.
  write('trace_clock', wanted.clock);
  write('options/disable_on_free', '1');
  return { bufferBytesPerCpu: bufferSizeKb(dir) * 1024, subbufferBytes, warnings };
}

/** Skips options that the kernel lacks or that already have the value. */
export function setOptions(
  target: { dir: string; set: WriteControl },
  options: Readonly<Record<string, '0' | '1'>>,
): void {
  for (const [name, value] of Object.entries(options)) setOption(target.dir, name, value, target.set);
}

function setOption(dir: string, name: string, value: '0' | '1', write: WriteControl): void {
  const present = tryReadText(join(dir, 'options', name))?.trim();
  if (present !== undefined && present !== value) write(`options/${name}`, value);
}

/** Returns the size in force, in bytes. Before Linux 6.8, a sub-buffer is always one page. */
function setSubbuffers(dir: string, wantedBytes: number, warnings: string[], write: WriteControl): number {
  if (tryReadText(join(dir, 'buffer_subbuf_size_kb')) === undefined) return instanceLayout(dir).pageSize;
  const wantedKb = Math.ceil(wantedBytes / 1024);
  const gotKb = writeHalving((kb) => write('buffer_subbuf_size_kb', String(kb)), {
    first: wantedKb,
    least: 4,
  });
  if (gotKb < wantedKb)
    warnings.push(`the kernel has no memory for sub-buffers of ${wantedKb} KiB: using ${gotKb} KiB`);
  return instanceLayout(dir).pageSize;
}

/** Writes `first`. On ENOMEM, retries with half the value or, if less, `fallback()`, but never less than `least`. */
export function writeHalving(
  write: (value: number) => void,
  range: { first: number; least: number },
  fallback: () => number = () => Number.POSITIVE_INFINITY,
): number {
  for (let value = range.first; ; ) {
    try {
      write(value);
      return value;
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== 'ENOMEM' || value <= range.least) throw error;
      value = Math.max(range.least, Math.floor(Math.min(value / 2, fallback())));
    }
  }
}

/** In KiB per CPU; the smallest size if CPUs have different sizes. Throws `KernelError`. */
export function bufferSizeKb(dir: string): number {
  const file = join(dir, 'buffer_size_kb');
  const all = parseSizeKb(readText(file));
  if (all !== undefined) return all;
  const sizes = possibleCpus(dir).map((cpu) =>
    parseSizeKb(tryReadText(join(dir, 'per_cpu', `cpu${cpu}`, 'buffer_size_kb')) ?? ''),
  );
  const readable = sizes.filter((size) => size !== undefined);
  if (readable.length === 0) throw new KernelError({ file, errno: '', action: 'understand the size in' });
  return Math.min(...readable);
}

/** Returns KiB: 7 for `7 (expanded: 1408)`; undefined for `X`, the kernel's text if CPUs have different sizes. */
export function parseSizeKb(text: string): number | undefined {
  const digits = /^(\d+)(?:\s|$)/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Instances can have different sub-buffer sizes. Throws `KernelError`. */
export function instanceLayout(dir: string): PageLayout {
  const file = join(dir, 'events', 'header_page');
  return parseHeaderPage(readText(file), file);
}
