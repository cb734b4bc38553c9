/** Reads the sections of a trace.dat file of version 7. Format: trace-cmd.dat.v7(5). */
import { reasonOf, UsageError } from '../model/errors.ts';
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
import type { FileParts } from './v6.ts';

const MAX_OPTION_SECTIONS = 10_000;

export interface SectionFile {
  cursor: Cursor;
  file: string;
  uncompress: Uncompress | undefined;
}

/** Reads the name of the compression. Throws `UsageError` if it is not supported, `Broken` if the file ends early. */
export function readCompression(cursor: Cursor, file: string): SectionFile {
  const compression = cursor.name('the name of the compression');
  cursor.name('the version of the compression');
  const uncompress = uncompressOf(compression);
  if (uncompress === undefined && compression !== 'none')
    throw new UsageError(
      `${file} is compressed with ${JSON.stringify(compression)}; only zlib and zstd are supported: convert it with \`trace-cmd convert --compression none\``,
    );
  return { cursor, file, uncompress };
}

/** Reads all options into `facts`. If a section of options is unreadable, keeps the options of earlier sections. */
export function readOptions7(sections: SectionFile, parts: FileParts): void {
  const { cursor, file } = sections;
  const seen = new Set<number>();
  try {
    let offset = cursor.number(8, 'the offset of the options');
    while (offset !== 0) {
      if (seen.has(offset) || seen.size === MAX_OPTION_SECTIONS)
        throw cursor.broken(offset, 'the sections of options form a loop');
      seen.add(offset);
      offset = readSection(openSection(sections, offset, SECTION_OPTIONS), parts);
    }
  } catch (error) {
    // Without options, the positions of all other sections are unknown.
    if (!(error instanceof Broken) || parts.facts.sections.size === 0) throw error;
    parts.problems.push(`${file} is truncated or damaged ${error.message}`);
  }
}

/** Reads one section of options. Returns the offset of the next section of options, or 0. */
function readSection(cursor: Cursor, { facts, problems }: FileParts): number {
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
      problems.push(`ignored option ${id} at byte ${at}: ${wrong}`);
  }
}

/** Returns a cursor over a section's uncompressed content. Throws `Broken`. */
function openSection({ cursor, uncompress }: SectionFile, offset: number, id: number): Cursor {
  const section = cursor.at(offset);
  const actualId = section.number(2, `section ${id}`);
  if (actualId !== id) throw section.broken(offset, `expected section ${id}, but found section ${actualId}`);
  const flags = section.number(2, `section ${id}`);
  section.skip(12, `section ${id}`);
  if ((flags & SECTION_IS_COMPRESSED) === 0 || uncompress === undefined) return section;
  const size = section.number(4, `section ${id}`);
  const bytes = section.number(4, `section ${id}`);
  if (bytes > MAX_PART)
    throw section.broken(offset, `section ${id} has an impossible size of ${bytes} bytes`);
  const compressed = section.bytes(size, `section ${id}`);
  try {
    return new Cursor(memoryInput(uncompress(compressed, bytes), `section ${id} (uncompressed)`));
  } catch (error) {
    throw section.broken(offset, `section ${id} can't be uncompressed: ${reasonOf(error)}`);
  }
}

/** Returns the page layout, or the reason why it can't be read. */
export function readLayout7(sections: SectionFile, { facts }: FileParts): PageLayout | { error: string } {
  const offset = facts.sections.get(SECTION_HEADER_INFO);
  if (offset === undefined) return { error: 'is missing' };
  try {
    return readHeaderInfo(openSection(sections, offset, SECTION_HEADER_INFO));
  } catch (error) {
    if (error instanceof Broken) return { error: `can't be read ${error.message}` };
    throw error;
  }
}

/** Reads the formats. If a section is damaged, adds a problem and keeps the formats before the damage. */
export function readFormats7(sections: SectionFile, { facts, formats, problems }: FileParts): void {
  for (const [id, read] of [
    [SECTION_FTRACE_FORMATS, readFtraceFormats],
    [SECTION_EVENT_FORMATS, readEventFormats],
  ] as const) {
    const offset = facts.sections.get(id);
    try {
      if (offset === undefined) problems.push(`${sections.file} lacks section ${id}, which contains formats`);
      else read(openSection(sections, offset, id), formats);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      problems.push(`${sections.file} is truncated or damaged ${error.message}`);
    }
  }
}

/** If the file has kallsyms, sets `parts.kallsyms`. This function throws `Broken` if the section is damaged. */
export function findSymbols7(sections: SectionFile, parts: FileParts): void {
  const offset = parts.facts.sections.get(SECTION_KALLSYMS);
  if (offset === undefined) return;
  parts.kallsyms = () => openSection(sections, offset, SECTION_KALLSYMS).text(4, 'kallsyms');
}

/** Throws `Broken` if the file has no section of a buffer at `buffer.offset`. */
export function isCompressed({ cursor, uncompress }: SectionFile, buffer: BufferEntry): boolean {
  const section = cursor.at(buffer.offset);
  const id = section.number(2, 'the section of a buffer');
  if (id !== SECTION_BUFFER)
    throw section.broken(buffer.offset, `expected the section of a buffer, but found section ${id}`);
  return (
    (section.number(2, 'the section of a buffer') & SECTION_IS_COMPRESSED) !== 0 && uncompress !== undefined
  );
}

/** Returns the highest CPU number in a buffer's extents, plus 1; 0 without extents. */
export function cpusOf(buffer: BufferEntry): number {
  return buffer.extents.reduce((cpus, { cpu }) => (cpu < MAX_CPUS ? Math.max(cpus, cpu + 1) : cpus), 0);
}
