/**
 * Writes pages to a trace.dat file of version 6. In the file, a table of sizes precedes the pages, so until `finish`
 * the writer keeps each CPU's pages in a temporary file. It unlinks the temporary files at once, so a crash leaves only
 * `path.partial`.
 */
import { closeSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { parseFormat } from '../decode/format.ts';
import { UsageError } from '../model/errors.ts';
import type { BufferStats, TraceMetadata } from '../model/source.ts';
import { openFile, readAt, refused, writeAll } from './file-io.ts';
import { headerBytes, littleEndian, type SystemFormats } from './header.ts';

/** Records of the system `ftrace` that any buffer can contain. trace-cmd needs the formats of the first two. */
const FTRACE_FORMATS = ['function', 'print', 'bprint', 'bputs', 'raw_data', 'kernel_stack', 'user_stack'];
/** Size of a write in bytes. Fewer writes are better, because each write may cause events in the recording. */
const WRITE_BYTES = 65536;
const COPY_BYTES = 1 << 20;

export interface CaptureWriterOptions {
  metadata: TraceMetadata;
  /** Recorded events, `system:name`; each must have a format. */
  events: readonly string[];
  /** Names of more records of the system `ftrace` whose formats the file needs, such as `funcgraph_entry`. */
  ftraceFormats?: readonly string[];
}

export interface CaptureEnd {
  /** Counters of the CPUs whose buffers were read. */
  stats: readonly BufferStats[];
  /** Names of processes: lines `pid comm`, as in `saved_cmdlines`. */
  cmdlines?: string;
  /** Lines `address type name`, as in /proc/kallsyms. Needed only if the pages contain addresses of functions. */
  kallsyms?: string;
}

export interface CaptureWriter {
  /** Appends a copy of a page of one CPU. The page has at most `pageSize` bytes; the writer pads it with zeros. */
  addPage(cpu: number, page: Uint8Array): void;
  /** Writes the file. Nothing can be added afterwards. */
  finish(end: CaptureEnd): void;
  /** Removes the unfinished file. No effect after `finish`. */
  discard(): void;
}

/** Temporary file and unwritten pages of one CPU. */
interface Spool {
  fd: number;
  written: number;
  pending: Uint8Array;
  pendingBytes: number;
}

/** `finish` renames `path.partial` to `path`. Throws `KernelError`, or `UsageError` if `path` is not a regular file. */
export function openCaptureWriter(path: string, options: CaptureWriterOptions): CaptureWriter {
  const { metadata } = options;
  const { pageSize } = metadata.layout;
  const ftraceFormats = ftraceFormatsOf(options);
  const systems = systemsOf(options);
  refuseOthersThanFiles(path);
  const partial = `${path}.partial`;
  const target = openNew(partial, 'wx');
  const spools = new Map<number, Spool>();
  const bufferBytes = Math.max(1, Math.floor(WRITE_BYTES / pageSize)) * pageSize;
  let open = true;

  const spoolOf = (cpu: number): Spool => {
    const existing = spools.get(cpu);
    if (existing !== undefined) return existing;
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= metadata.cpuCount)
      throw new Error(`${path}: got a page of CPU ${cpu}, but there are only ${metadata.cpuCount} CPUs`);
    const name = `${path}.cpu${cpu}.partial`;
    const fd = openNew(name, 'wx+');
    rmSync(name, { force: true });
    const spool = { fd, written: 0, pending: new Uint8Array(bufferBytes), pendingBytes: 0 };
    spools.set(cpu, spool);
    return spool;
  };

  const flush = (spool: Spool): void => {
    writeAll(spool.fd, partial, spool.pending.subarray(0, spool.pendingBytes), spool.written);
    spool.written += spool.pendingBytes;
    spool.pendingBytes = 0;
  };

  const close = (): void => {
    open = false;
    closeSync(target);
    for (const { fd } of spools.values()) closeSync(fd);
  };

  const discard = (): void => {
    if (!open) return;
    close();
    rmSync(partial, { force: true });
  };

  const write = (end: CaptureEnd): void => {
    for (const spool of spools.values()) flush(spool);
    const { stats, cmdlines = '', kallsyms = '' } = end;
    const header = headerBytes({ metadata, ftraceFormats, systems, cmdlines, stats, kallsyms });
    let offset = aligned(header.length + 16 * metadata.cpuCount, pageSize);
    const table: Uint8Array[] = [header];
    for (let cpu = 0; cpu < metadata.cpuCount; cpu++) {
      const spool = spools.get(cpu);
      const size = spool?.written ?? 0;
      table.push(littleEndian(offset, 8), littleEndian(size, 8));
      if (spool !== undefined) copy(spool.fd, size, offset);
      offset += size;
    }
    writeAll(target, partial, Buffer.concat(table), 0);
  };

  const copy = (from: number, size: number, to: number): void => {
    const chunk = new Uint8Array(COPY_BYTES);
    for (let done = 0; done < size; ) {
      const length = readAt(from, partial, chunk.subarray(0, Math.min(COPY_BYTES, size - done)), done);
      if (length === 0) throw new Error(`${partial}: written pages can't be read back`);
      writeAll(target, partial, chunk.subarray(0, length), to + done);
      done += length;
    }
  };

  return {
    addPage(cpu, page) {
      if (!open) throw new Error(`${path}: got a page after the end`);
      if (page.length > pageSize)
        throw new Error(`${path}: got a page of ${page.length} bytes, but the page size is ${pageSize}`);
      const spool = spoolOf(cpu);
      const { pending, pendingBytes } = spool;
      pending.set(page, pendingBytes);
      pending.fill(0, pendingBytes + page.length, pendingBytes + pageSize);
      spool.pendingBytes += pageSize;
      if (spool.pendingBytes === pending.length) flush(spool);
    },
    finish(end) {
      if (!open) throw new Error(`${path}: finished twice`);
      try {
        write(end);
        renameTo(partial, path);
      } catch (error) {
        discard();
        throw error;
      }
      close();
    },
    discard,
  };
}

/** Refuses a path such as /dev/null, because the finished file would replace the device for all programs. */
function refuseOthersThanFiles(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false)
    throw new UsageError(`${path} already exists and is not a regular file: choose a new name`);
}

/** Creates a file. Replaces a file that a killed recording left behind. Does not follow a symbolic link at `path`. */
function openNew(path: string, flags: 'wx' | 'wx+'): number {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw refused(error, path, 'create');
  }
  return openFile(path, flags);
}

function ftraceFormatsOf({ metadata, events, ftraceFormats = [] }: CaptureWriterOptions): string[] {
  const own = events
    .filter((event) => event.startsWith('ftrace:'))
    .map((event) => event.slice('ftrace:'.length));
  const names = new Set([...FTRACE_FORMATS, ...ftraceFormats, ...own]);
  return [...names].flatMap((name) => metadata.formatText(`ftrace:${name}`) ?? []);
}

/** Returns the formats by system, in the order of the events. */
function systemsOf({ metadata, events }: CaptureWriterOptions): SystemFormats[] {
  const systems = new Map<string, string[]>();
  for (const event of new Set(events)) {
    const system = event.split(':')[0];
    if (system === 'ftrace') continue;
    const text = metadata.formatText(event);
    if (text === undefined) throw new Error(`${event} can't be recorded: it has no format`);
    const format = parseFormat(system, text);
    if ('error' in format) throw new Error(`${event} can't be recorded: its format ${format.error}`);
    systems.set(system, [...(systems.get(system) ?? []), text]);
  }
  return [...systems].map(([system, formats]) => ({ system, formats }));
}

function renameTo(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    throw refused(error, to, 'create');
  }
}

function aligned(offset: number, to: number): number {
  return Math.ceil(offset / to) * to;
}
