/**
 * Sections of a trace.dat file of version 7, behind the sizes of long and page: a cursor enters, page layout, formats
 * and options leave, as far as they can be read. Format: trace-cmd.dat.v7(5). Names of sections, in the strings
 * section, say nothing that their ids do not.
 */
import { UsageError } from '../model/errors.ts';
import type { PageLayout } from '../model/format.ts';
import { Broken, Cursor, MAX_PART, memoryInput } from './cursor.ts';
import { type BufferEntry, MAX_CPUS, takeOption } from './options.ts';
import { MAX_PROBLEMS, readEventFormats, readFtraceFormats, readHeaderInfo } from './parts.ts';
import {
  OPTION_DONE,
  SECTION_BUFFER,
  SECTION_EVENT_FORMATS,
  SECTION_FTRACE_FORMATS,
  SECTION_HEADER_INFO,
  SECTION_IS_COMPRESSED,
  SECTION_KALLSYMS,
  SECTION_OPTIONS,
} from './trace-dat.ts';
import { type Uncompress, uncompressOf } from './uncompress.ts';
import type { Found } from './v6.ts';

const MAX_OPTION_SECTIONS = 10_000;

export interface SectionFile {
  cursor: Cursor;
  file: string;
  uncompress: Uncompress | undefined;
}

/** Reads the compression. Throws `UsageError` for one that cannot be undone, `Broken` where the file ends before it. */
export function readCompression(cursor: Cursor, file: string): SectionFile {
  const compression = cursor.name('the name of the compression');
  cursor.name('the version of the compression');
  const uncompress = uncompressOf(compression);
  if (uncompress === undefined && compression !== 'none')
    throw new UsageError(
      `${file} is compressed with ${JSON.stringify(compression)}, which is neither zlib nor zstd: \`trace-cmd convert --compression none\` makes a readable one of it`,
    );
  return { cursor, file, uncompress };
}

/** Reads all options; the buffers are in `facts` afterwards. What their chain said before it broke off stands. */
export function readOptions7(sections: SectionFile, found: Found): void {
  const { cursor, file } = sections;
  const seen = new Set<number>();
  try {
    let offset = cursor.number(8, 'the place of the options');
    while (offset !== 0) {
      if (seen.has(offset) || seen.size === MAX_OPTION_SECTIONS)
        throw cursor.broken(offset, 'the sections of options go round in circles');
      seen.add(offset);
      offset = readSection(openSection(sections, offset, SECTION_OPTIONS), found);
    }
  } catch (error) {
    // Without a single one, there is nothing to go by.
    if (!(error instanceof Broken) || found.facts.sections.size === 0) throw error;
    found.problems.push(`${file} is cut off or damaged ${error.message}`);
  }
}

/** One section of options; returns where the next is, 0 for none. */
function readSection(cursor: Cursor, { facts, problems }: Found): number {
  for (;;) {
    const at = cursor.position;
    const id = cursor.number(2, 'an option');
    const data = cursor.bytes(cursor.number(4, 'an option'), 'an option');
    if (id === OPTION_DONE) {
      if (data.length < 8) throw cursor.broken(at, 'the last option does not say where the next section is');
      return data.readUInt32LE(0) + data.readUInt32LE(4) * 2 ** 32;
    }
    const wrong = takeOption(facts, id, data, 7);
    if (wrong !== '' && problems.length < MAX_PROBLEMS)
      problems.push(`option ${id} at byte ${at} is passed over: ${wrong}`);
  }
}

/** A cursor over a section's content, uncompressed. Throws `Broken`. */
function openSection({ cursor, uncompress }: SectionFile, offset: number, id: number): Cursor {
  const section = cursor.at(offset);
  const found = section.number(2, `section ${id}`);
  if (found !== id) throw section.broken(offset, `section ${id} is not there, but ${found}`);
  const flags = section.number(2, `section ${id}`);
  section.skip(12, `section ${id}`);
  if ((flags & SECTION_IS_COMPRESSED) === 0 || uncompress === undefined) return section;
  const size = section.number(4, `section ${id}`);
  const bytes = section.number(4, `section ${id}`);
  if (bytes > MAX_PART) throw section.broken(offset, `section ${id} has ${bytes} bytes, which cannot be`);
  const compressed = section.bytes(size, `section ${id}`);
  try {
    return new Cursor(memoryInput(uncompress(compressed, bytes), `section ${id} (uncompressed)`));
  } catch (error) {
    throw section.broken(offset, `section ${id} cannot be uncompressed, ${(error as Error).message}`);
  }
}

/** The page layout, or what is wrong with it. */
export function readLayout7(sections: SectionFile, { facts }: Found): PageLayout | { error: string } {
  const offset = facts.sections.get(SECTION_HEADER_INFO);
  if (offset === undefined) return { error: 'is missing' };
  try {
    return readHeaderInfo(openSection(sections, offset, SECTION_HEADER_INFO));
  } catch (error) {
    if (error instanceof Broken) return { error: `cannot be read ${error.message}` };
    throw error;
  }
}

/** Reads the formats; a section that breaks off is a problem, the formats before it are kept. */
export function readFormats7(sections: SectionFile, { facts, formats, problems }: Found): void {
  for (const [id, read] of [
    [SECTION_FTRACE_FORMATS, readFtraceFormats],
    [SECTION_EVENT_FORMATS, readEventFormats],
  ] as const) {
    const offset = facts.sections.get(id);
    try {
      if (offset === undefined) problems.push(`${sections.file} has no section ${id}, of formats`);
      else read(openSection(sections, offset, id), formats);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      problems.push(`${sections.file} is cut off or damaged ${error.message}`);
    }
  }
}

/** Symbols are read when they are asked for; a section that cannot be read has none. */
export function findSymbols7(sections: SectionFile, found: Found): void {
  const offset = found.facts.sections.get(SECTION_KALLSYMS);
  if (offset === undefined) return;
  found.kallsyms = () => openSection(sections, offset, SECTION_KALLSYMS).text(4, 'kallsyms');
}

/** Whether a buffer's pages are compressed. Throws `Broken` when its section is not there. */
export function isCompressed({ cursor, uncompress }: SectionFile, buffer: BufferEntry): boolean {
  const section = cursor.at(buffer.offset);
  const id = section.number(2, 'the section of a buffer');
  if (id !== SECTION_BUFFER) throw section.broken(buffer.offset, `there is no buffer, but section ${id}`);
  return (
    (section.number(2, 'the section of a buffer') & SECTION_IS_COMPRESSED) !== 0 && uncompress !== undefined
  );
}

/** Number of CPUs that a buffer's extents speak of. */
export function cpusOf(buffer: BufferEntry): number {
  return buffer.extents.reduce((cpus, { cpu }) => (cpu < MAX_CPUS ? Math.max(cpus, cpu + 1) : cpus), 0);
}
