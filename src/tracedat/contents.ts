/** Reads everything before the pages of a trace.dat file. Reads as much as possible of a damaged file. */
import { UsageError } from '../model/errors.ts';
import type { PageLayout } from '../model/format.ts';
import type { BufferStats, TraceMetadata } from '../model/source.ts';
import { chooseBuffer, withPageSize } from './buffers.ts';
import { type Clock, clockOf } from './clock.ts';
import { Broken, type Cursor } from './cursor.ts';
import { type BufferEntry, MAX_CPUS, noFacts } from './options.ts';
import { readHeaderInfo } from './parts.ts';
import { placeRegions, type Region } from './regions.ts';
import { MAGIC } from './trace-dat.ts';
import type { Uncompress } from './uncompress.ts';
import { type FileParts, readV6 } from './v6.ts';
import {
  cpusOf,
  findSymbols7,
  isCompressed,
  readCompression,
  readFormats7,
  readLayout7,
  readOptions7,
  type SectionFile,
} from './v7.ts';

export interface Contents extends Pick<TraceMetadata, 'layout' | 'machine' | 'kernelRelease' | 'cpuCount'> {
  /** Format texts by `system:name`, in the order of the file. */
  formats: Map<string, string>;
  clock: Clock;
  /** Counters of the buffer that is read. */
  stats: BufferStats[];
  regions: Map<number, Region>;
  /** Name of the buffer that is read; '' is the top level. */
  instance: string;
  uncompress: Uncompress | undefined;
  /** Text of the recording machine's /proc/kallsyms; '' if the file has none or reading it fails. */
  kallsyms(): string;
  /** Sentences about what could not be read, and where. */
  problems: string[];
}

/** Throws `UsageError` if the file is not a trace.dat or lacks the buffer, `KernelError` if a system call fails. */
export function readContents(cursor: Cursor, file: string, instance: string | undefined): Contents {
  const problems: string[] = [];
  const parts: FileParts = {
    formats: { texts: new Map(), problems, bad: 0 },
    facts: noFacts(),
    problems,
    kallsyms: () => '',
  };
  const { layout, sections } = readFront(cursor, file, parts);
  const { facts } = parts;
  const buffer = chooseBuffer(facts.buffers, instance, file, problems);
  const pages = withPageSize(layout, buffer, problems);
  const clock = clockOf(facts, buffer?.clock ?? '');
  problems.push(...clock.problems);
  return {
    layout: pages,
    formats: parts.formats.texts,
    cpuCount: Math.min(MAX_CPUS, Math.max(facts.cpuCount, buffer === undefined ? 0 : cpusOf(buffer))),
    clock,
    machine: facts.machine,
    kernelRelease: facts.kernelRelease,
    stats: facts.stats.get(buffer?.name ?? '') ?? [],
    regions: regionsOf(buffer, { cursor, sections, pageSize: pages.pageSize, file, problems }),
    instance: buffer?.name ?? '',
    uncompress: sections?.uncompress,
    kallsyms: () => symbolsOf(parts, file),
    problems,
  };
}

function symbolsOf(parts: FileParts, file: string): string {
  try {
    return parts.kallsyms();
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    parts.problems.push(`${file}: its function names can't be read: ${error.message}`);
    return '';
  }
}

function readFront(
  cursor: Cursor,
  file: string,
  parts: FileParts,
): { layout: PageLayout; sections: SectionFile | undefined } {
  let layout: PageLayout | { error: string };
  let sections: SectionFile | undefined;
  try {
    const version = readVersion(cursor, file);
    if (version === 7) {
      sections = readCompression(cursor, file);
      readOptions7(sections, parts);
    }
    layout = sections === undefined ? readHeaderInfo(cursor) : readLayout7(sections, parts);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    throw new UsageError(`${file} is not a complete trace.dat file: ${error.message}`);
  }
  if ('error' in layout) throw new UsageError(`${file} can't be read: its header_page ${layout.error}`);
  try {
    if (sections === undefined) readV6(cursor, file, parts);
    else {
      readFormats7(sections, parts);
      findSymbols7(sections, parts);
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    parts.problems.push(`${file} is truncated or damaged ${error.message}`);
  }
  return { layout, sections };
}

function readVersion(cursor: Cursor, file: string): 6 | 7 {
  const magic = cursor.bytes(MAGIC.length, 'the magic bytes').toString('latin1');
  if (magic !== MAGIC) throw new UsageError(`${file} is not a trace.dat file`);
  const version = cursor.name('the version');
  if (version !== '6' && version !== '7')
    throw new UsageError(
      `${file} is a trace.dat of version ${JSON.stringify(version)}; only 6 and 7 are supported`,
    );
  if (cursor.number(1, 'the byte order') !== 0)
    throw new UsageError(`${file} was recorded on a big-endian machine, which is not supported`);
  // Skip the size of a C long in user space and the page size. The reader uses the sizes in header_page instead.
  cursor.skip(5, 'the sizes of long and page');
  return version === '6' ? 6 : 7;
}

function regionsOf(
  buffer: BufferEntry | undefined,
  from: {
    cursor: Cursor;
    sections: SectionFile | undefined;
    pageSize: number;
    file: string;
    problems: string[];
  },
): Map<number, Region> {
  const { cursor, sections, pageSize, file, problems } = from;
  if (buffer === undefined) return new Map();
  try {
    const compressed = sections !== undefined && isCompressed(sections, buffer);
    return placeRegions(buffer.extents, { cursor, pageSize, from: buffer.offset, compressed }, problems);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    problems.push(`${file} is truncated or damaged ${error.message}`);
    return new Map();
  }
}
