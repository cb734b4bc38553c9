/**
 * What a trace.dat file says of itself: a cursor at its start enters; page layout, formats, clock, counts and the
 * places of one buffer's pages leave, as far as they can be read.
 */
import { UsageError } from '../model/errors.ts';
import type { PageLayout } from '../model/format.ts';
import type { BufferStats } from '../model/source.ts';
import { chooseBuffer, withPageSize } from './buffers.ts';
import { type Clock, clockOf } from './clock.ts';
import { Broken, type Cursor } from './cursor.ts';
import { type BufferEntry, MAX_CPUS, noFacts } from './options.ts';
import { readHeaderInfo } from './parts.ts';
import { placeRegions, type Region } from './regions.ts';
import { MAGIC } from './trace-dat.ts';
import type { Uncompress } from './uncompress.ts';
import { type Found, readV6 } from './v6.ts';
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

export interface Contents {
  layout: PageLayout;
  /** Texts by `system:name`, in the order of the file. */
  formats: Map<string, string>;
  cpuCount: number;
  clock: Clock;
  machine: string;
  kernelRelease: string;
  /** Of the buffer that is read, as all below. */
  stats: BufferStats[];
  regions: Map<number, Region>;
  /** Its name: '' is the top level. */
  instance: string;
  uncompress: Uncompress | undefined;
  /** Text of /proc/kallsyms of the machine that recorded; '' where there is none that can be read. */
  kallsyms(): string;
  /** What could not be read, and where. */
  problems: string[];
}

/**
 * `instance`: the buffer to read; undefined takes the top level's or, where that is empty, the first that is not.
 * Throws `UsageError` when this is no trace.dat that can be read at all, or has no such instance; all else is a problem
 * in the result.
 */
export function readContents(cursor: Cursor, file: string, instance: string | undefined): Contents {
  const problems: string[] = [];
  const found: Found = {
    formats: { texts: new Map(), problems, bad: 0 },
    facts: noFacts(),
    problems,
    kallsyms: () => '',
  };
  const { layout, sections } = readFront(cursor, file, found);
  const { facts } = found;
  const buffer = chooseBuffer(facts.buffers, instance, file, problems);
  const pages = withPageSize(layout, buffer, problems);
  const clock = clockOf(facts, buffer?.clock ?? '');
  problems.push(...clock.problems);
  return {
    layout: pages,
    formats: found.formats.texts,
    cpuCount: Math.min(MAX_CPUS, Math.max(facts.cpuCount, buffer === undefined ? 0 : cpusOf(buffer))),
    clock,
    machine: facts.machine,
    kernelRelease: facts.kernelRelease,
    stats: facts.stats.get(buffer?.name ?? '') ?? [],
    regions: regionsOf(buffer, { cursor, sections, pageSize: pages.pageSize, file, problems }),
    instance: buffer?.name ?? '',
    uncompress: sections?.uncompress,
    kallsyms: () => symbolsOf(found, file),
    problems,
  };
}

function symbolsOf(found: Found, file: string): string {
  try {
    return found.kallsyms();
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    found.problems.push(`${file}: its names of functions cannot be read ${error.message}`);
    return '';
  }
}

/** All before the pages. */
function readFront(
  cursor: Cursor,
  file: string,
  found: Found,
): { layout: PageLayout; sections: SectionFile | undefined } {
  let layout: PageLayout | { error: string };
  let sections: SectionFile | undefined;
  try {
    const version = readVersion(cursor, file);
    if (version === 7) {
      sections = readCompression(cursor, file);
      readOptions7(sections, found);
    }
    layout = sections === undefined ? readHeaderInfo(cursor) : readLayout7(sections, found);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    throw new UsageError(`${file} is no whole trace.dat file: ${error.message}`);
  }
  if ('error' in layout)
    throw new UsageError(`${file} cannot be understood: its header_page ${layout.error}`);
  try {
    if (sections === undefined) readV6(cursor, file, found);
    else {
      readFormats7(sections, found);
      findSymbols7(sections, found);
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    found.problems.push(`${file} is cut off or damaged ${error.message}`);
  }
  return { layout, sections };
}

function readVersion(cursor: Cursor, file: string): 6 | 7 {
  const magic = cursor.bytes(MAGIC.length, 'the magic bytes').toString('latin1');
  if (magic !== MAGIC) throw new UsageError(`${file} is no trace.dat file`);
  const version = cursor.name('the version');
  if (version !== '6' && version !== '7')
    throw new UsageError(`${file} is a trace.dat of version ${JSON.stringify(version)}, neither 6 nor 7`);
  if (cursor.number(1, 'the byte order') !== 0)
    throw new UsageError(`${file} is from a big-endian machine, which cannot be read`);
  // The user space's size of long, and the size of pages: events/header_page tells both for the buffer.
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
    problems.push(`${file} is cut off or damaged ${error.message}`);
    return new Map();
  }
}
