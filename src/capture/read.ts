/**
 * Reads captures: a trace.dat file (version 6, little-endian) enters, metadata and pages leave, as a kernel would give
 * them. Pages are read from the file when they are asked for. Format: trace-cmd.dat.v6(5).
 */
import { closeSync, fstatSync } from 'node:fs';
import type { BufferStats, PageSource, TraceMetadata } from '../model/source.ts';
import { type Contents, readContents } from './contents.ts';
import { Cursor } from './cursor.ts';
import { openFile, readAt } from './file-io.ts';

export interface Capture {
  metadata: TraceMetadata;
  /** Of the CPUs whose counts the file has. */
  stats: readonly BufferStats[];
  /** Pages of each CPU in the order they were recorded; its CPUs are those that have pages or counts. */
  source: PageSource;
  /** Whole pages of one CPU. */
  cpuPages(cpu: number): number;
  close(): void;
  /** What could not be read of a file that is cut off or damaged, for people. Grows when it shrinks meanwhile. */
  problems: readonly string[];
}

/**
 * Opens a capture. What a cut-off or damaged file still has is used. Throws `KernelError` when it cannot be opened or
 * read, `UsageError` when it is no trace.dat of version 6 or not even says how its pages are laid out.
 */
export function openCapture(path: string): Capture {
  const fd = openFile(path, 'r');
  try {
    const contents = readContents(new Cursor(fd, path, fstatSync(fd).size), path);
    return captureOf(contents, fd, path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function captureOf(contents: Contents, fd: number, path: string): Capture {
  const { layout, formats, regions, stats, problems, clock, machine, kernelRelease, cpuCount } = contents;
  const { pageSize } = layout;
  const next = new Float64Array(cpuCount);
  const present = new Set(stats.flatMap(({ cpu }) => (cpu < cpuCount ? [cpu] : [])));
  regions.forEach(({ pages }, cpu) => {
    if (pages > 0) present.add(cpu);
  });
  const cpus = [...present].sort((a, b) => a - b);
  const events = [...formats.keys()].filter((event) => !event.startsWith('ftrace:'));
  let open = true;

  const readPage = (cpu: number, into: Uint8Array): number => {
    const region = regions[cpu];
    if (region === undefined || next[cpu] >= region.pages) return 0;
    const read = readAt(fd, path, into.subarray(0, pageSize), region.offset + next[cpu] * pageSize);
    next[cpu]++;
    if (read === pageSize) return read;
    problems.push(`CPU ${cpu}: the file became shorter while it was read`);
    region.pages = 0;
    return 0;
  };

  return {
    metadata: {
      layout,
      clock,
      machine,
      kernelRelease,
      cpuCount,
      events: () => events,
      formatText: (event) => formats.get(event),
    },
    stats,
    source: { cpus: () => cpus, readPage },
    cpuPages: (cpu) => regions[cpu]?.pages ?? 0,
    close: () => {
      if (open) closeSync(fd);
      open = false;
    },
    problems,
  };
}
