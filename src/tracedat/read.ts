/**
 * Reads captures: a trace.dat file (version 6 or 7, little-endian) enters, metadata and pages leave, as a kernel would
 * give them. Pages are read from the file when they are asked for. Format: trace-cmd.dat.v6(5), trace-cmd.dat.v7(5).
 */
import { closeSync, fstatSync } from 'node:fs';
import type { BufferStats, PageSource, TraceMetadata } from '../model/source.ts';
import { type Contents, readContents } from './contents.ts';
import { Cursor, fileInput } from './cursor.ts';
import { openFile } from './file-io.ts';
import { openRegion, type RegionReader } from './region-reader.ts';

export interface Capture {
  metadata: TraceMetadata;
  /** Of the CPUs whose counts the file has. */
  stats: readonly BufferStats[];
  /** Pages of each CPU in the order they were recorded; its CPUs are those that have pages or counts. */
  source: PageSource;
  /** Nanoseconds a stamp of the clock counts; undefined where they are not known: then there are no durations. */
  nsPerStamp: number | undefined;
  /** The buffer that is read: '' for the top level's. */
  instance: string;
  /** Whole pages of one CPU. */
  cpuPages(cpu: number): number;
  /** Whether pages at a CPU's end are missing. Certain only when the pages before have been read. */
  isCut(cpu: number): boolean;
  /** Where a page lies, for people: `byte 8192`. */
  placeOf(cpu: number, page: number): string;
  /** Text of /proc/kallsyms of the machine that recorded; '' where there is none. Before `close`. */
  kallsyms(): string;
  close(): void;
  /** What could not be read of a file that is cut off or damaged, for people. Grows when it shrinks meanwhile. */
  problems: readonly string[];
}

export interface OpenOptions {
  /** The buffer to read; by default the top level's or, where that is empty, the first that is not. */
  instance?: string | undefined;
}

/**
 * Opens a capture. What a cut-off or damaged file still has is used. Throws `KernelError` when it cannot be opened or
 * read, `UsageError` when it is no trace.dat of version 6 or 7, not even says how its pages are laid out, or has no such
 * instance.
 */
export function openCapture(path: string, options: OpenOptions = {}): Capture {
  const fd = openFile(path, 'r');
  try {
    const input = fileInput(fd, path, fstatSync(fd).size);
    return captureOf(readContents(new Cursor(input), path, options.instance), fd, path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function captureOf(contents: Contents, fd: number, path: string): Capture {
  const { layout, formats, regions, stats, problems, clock, machine, kernelRelease, cpuCount, uncompress } =
    contents;
  const present = new Set(stats.flatMap(({ cpu }) => (cpu < cpuCount ? [cpu] : [])));
  const readers = new Map<number, RegionReader>();
  for (const [cpu, region] of regions) {
    readers.set(cpu, openRegion({ cpu, region, fd, path, layout, uncompress, problems }));
    if (region.pages > 0 || region.cut) present.add(cpu);
  }
  const cpus = [...present].sort((a, b) => a - b);
  const events = [...formats.keys()].filter((event) => !event.startsWith('ftrace:'));
  let open = true;
  return {
    metadata: {
      layout,
      clock: clock.name,
      machine,
      kernelRelease,
      cpuCount,
      events: () => events,
      formatText: (event) => formats.get(event),
    },
    stats,
    source: { cpus: () => cpus, readPage: (cpu, into) => readers.get(cpu)?.readPage(into) ?? 0 },
    nsPerStamp: clock.nsPerStamp,
    instance: contents.instance,
    cpuPages: (cpu) => regions.get(cpu)?.pages ?? 0,
    isCut: (cpu) => regions.get(cpu)?.cut ?? false,
    placeOf: (cpu, page) => readers.get(cpu)?.placeOf(page) ?? 'no byte',
    kallsyms: contents.kallsyms,
    close: () => {
      if (open) closeSync(fd);
      open = false;
    },
    problems,
  };
}
