/** Opens captures: trace.dat files of version 6 or 7, little-endian. */
import { closeSync, fstatSync } from 'node:fs';
import type { BufferStats, PageSource, TraceMetadata } from '../model/source.ts';
import { type Contents, readContents } from './contents.ts';
import { Cursor, fileInput } from './cursor.ts';
import { openFile, READ_AT_ONCE } from './file-io.ts';
import { openRegion, type RegionReader } from './region-reader.ts';

export interface Capture {
  metadata: TraceMetadata;
  /** Counters of those CPUs for which the file contains counters. */
  stats: readonly BufferStats[];
  /** Pages of each CPU in recorded order. `source.cpus()` returns the CPUs with pages or counters. */
  source: PageSource;
  /** Nanoseconds per timestamp unit. If undefined, timestamps show the order of events, but no durations. */
  nsPerStamp: number | undefined;
  /** The buffer that is read; '' is the top level. */
  instance: string;
  /** Number of complete pages of one CPU. */
  cpuPages(cpu: number): number;
  /** Whether the last pages of a CPU are missing. Reliable only after all pages have been read. */
  isCut(cpu: number): boolean;
  /** Returns the position of a page as text, such as `byte 8192`. Page numbers start at 0. */
  placeOf(cpu: number, page: number): string;
  /** Text of the recording machine's /proc/kallsyms; '' if the file does not contain it. Call this before `close`. */
  kallsyms(): string;
  close(): void;
  /** Sentences about what could not be read in a truncated or damaged file. Can grow while the file is read. */
  problems: readonly string[];
}

export interface OpenOptions {
  /** Undefined selects the top level or, if the top level has no pages, the first buffer with pages. */
  instance?: string | undefined;
}

/** Opens even a damaged file. Throws `KernelError` if a system call fails, `UsageError` if the file is not usable. */
export function openCapture(path: string, options: OpenOptions = {}): Capture {
  const fd = openFile(path, READ_AT_ONCE);
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
