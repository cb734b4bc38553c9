/**
 * The front part of a trace.dat file (version 6): a cursor at its start enters, what the file says of itself leaves,
 * as far as it can be read. Format: trace-cmd.dat.v6(5).
 */
import { parseFormat } from '../decode/format.ts';
import { UsageError } from '../model/errors.ts';
import type { PageLayout } from '../model/format.ts';
import type { BufferStats } from '../model/source.ts';
import { parseCpuStats } from './cpu-stats.ts';
import { Broken, type Cursor } from './cursor.ts';
import { parseHeaderPage } from './header-page.ts';
import {
  FLYRECORD,
  LATENCY,
  MAGIC,
  OPTION_BUFFER,
  OPTION_CPUSTAT,
  OPTION_DONE,
  OPTION_TRACECLOCK,
  OPTION_UNAME,
  OPTIONS,
  SECTION_BYTES,
  VERSION,
} from './trace-dat.ts';

/** More than any kernel has; a larger number is a broken file. */
const MAX_CPUS = 65536;
/** Of the same kind: one would do, thousands would not help. */
const MAX_PROBLEMS = 5;
/** Where this many formats make no sense, the file has none. */
const MAX_BAD_FORMATS = 100;

const INSTANCES = 'the file holds further instances, which are not read';

/** Pages of one CPU. */
export interface Region {
  offset: number;
  pages: number;
}

export interface Contents {
  layout: PageLayout;
  /** Texts by `system:name`, in the order of the file. */
  formats: Map<string, string>;
  cpuCount: number;
  clock: string;
  machine: string;
  kernelRelease: string;
  stats: BufferStats[];
  /** By CPU. */
  regions: Region[];
  /** What could not be read, and where. */
  problems: string[];
}

/** Throws `UsageError` when this is no trace.dat that can be read at all; all else is a problem in the result. */
export function readContents(cursor: Cursor, file: string): Contents {
  const layout = readStart(cursor, file);
  const contents: Contents = {
    layout,
    formats: new Map(),
    cpuCount: 0,
    clock: '',
    machine: '',
    kernelRelease: '',
    stats: [],
    regions: [],
    problems: [],
  };
  try {
    readFormats(cursor, contents);
    cursor.skip(cursor.number(4, 'kallsyms'), 'kallsyms');
    cursor.skip(cursor.number(4, 'the printk formats'), 'the printk formats');
    cursor.skip(cursor.number(8, 'the command lines'), 'the command lines');
    readCpus(cursor, contents, file);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    contents.problems.push(`${file} is cut off or damaged ${error.message}`);
  }
  return contents;
}

function readStart(cursor: Cursor, file: string): PageLayout {
  try {
    const magic = cursor.bytes(MAGIC.length, 'the magic bytes').toString('latin1');
    if (magic !== MAGIC) throw new UsageError(`${file} is no trace.dat file`);
    const version = cursor.name('the version');
    if (version !== VERSION) {
      const remedy =
        version === '7' ? ': `trace-cmd convert --file-version 6` makes a readable one of it' : '';
      throw new UsageError(`${file} is a trace.dat of version ${JSON.stringify(version)}, not 6${remedy}`);
    }
    if (cursor.number(1, 'the byte order') !== 0)
      throw new UsageError(`${file} is from a big-endian machine`);
    // The user space's size of long, and the size of pages: events/header_page tells both for the buffer.
    cursor.skip(5, 'the sizes of long and page');
    expect(cursor, 'header_page\0');
    const layout = parseHeaderPage(cursor.text(8, 'header_page'));
    if ('error' in layout)
      throw new UsageError(`${file} cannot be understood: its header_page ${layout.error}`);
    expect(cursor, 'header_event\0');
    cursor.skip(cursor.number(8, 'header_event'), 'header_event');
    return layout;
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    throw new UsageError(`${file} is no whole trace.dat file: ${error.message}`);
  }
}

function expect(cursor: Cursor, word: string): void {
  const start = cursor.position;
  const found = cursor.bytes(word.length, word.slice(0, -1)).toString('latin1');
  if (found !== word) throw new Broken(start, `${word.slice(0, -1)} is not there`);
}

function readFormats(cursor: Cursor, contents: Contents): void {
  let bad = 0;
  const add = (system: string) => {
    const start = cursor.position;
    const text = cursor.text(8, `a format of ${system}`);
    const format = parseFormat(system, text);
    if (!('error' in format)) {
      contents.formats.set(`${system}:${format.name}`, text);
      return;
    }
    if (bad++ < MAX_PROBLEMS)
      contents.problems.push(`the format of ${system} at byte ${start} ${format.error}`);
    if (bad > MAX_BAD_FORMATS) throw new Broken(start, 'these are no formats');
  };
  const ftrace = cursor.number(4, 'the number of ftrace formats');
  for (let i = 0; i < ftrace; i++) add('ftrace');
  const systems = cursor.number(4, 'the number of systems');
  for (let s = 0; s < systems; s++) {
    const system = cursor.name('the name of a system');
    const count = cursor.number(4, `the number of formats of ${system}`);
    for (let i = 0; i < count; i++) add(system);
  }
}

function readCpus(cursor: Cursor, contents: Contents, file: string): void {
  const start = cursor.position;
  contents.cpuCount = cursor.number(4, 'the number of CPUs');
  if (contents.cpuCount > MAX_CPUS) {
    const cpus = contents.cpuCount;
    contents.cpuCount = 0;
    throw new Broken(start, `${cpus} CPUs cannot be`);
  }
  for (;;) {
    const at = cursor.position;
    const section = cursor.bytes(SECTION_BYTES, 'the name of a section').toString('latin1');
    if (section === FLYRECORD) break;
    if (section === LATENCY) throw new UsageError(`${file} holds the text of a latency tracer, not events`);
    if (section !== OPTIONS) throw new Broken(at, `there is no section ${JSON.stringify(section)}`);
    readOptions(cursor, contents);
  }
  readRegions(cursor, contents);
}

function readOptions(cursor: Cursor, contents: Contents): void {
  for (;;) {
    const id = cursor.number(2, 'an option');
    if (id === OPTION_DONE) return;
    const size = cursor.number(4, 'an option');
    const text = () => cursor.bytes(size, 'an option').toString('utf8').split('\0')[0];
    if (id === OPTION_TRACECLOCK) {
      contents.clock = /\[([^\]]+)\]/.exec(text())?.[1] ?? '';
    } else if (id === OPTION_UNAME) {
      const words = text().split(' ');
      contents.machine = words.at(-1) ?? '';
      contents.kernelRelease = words[2] ?? '';
    } else if (id === OPTION_CPUSTAT) {
      const stats = parseCpuStats(text());
      if (stats !== undefined) contents.stats.push(stats);
    } else {
      if (id === OPTION_BUFFER && !contents.problems.includes(INSTANCES)) contents.problems.push(INSTANCES);
      cursor.skip(size, 'an option');
    }
  }
}

function readRegions(cursor: Cursor, contents: Contents): void {
  const { layout, regions } = contents;
  const problems: string[] = [];
  const found: { cpu: number; offset: number; size: number }[] = [];
  for (let cpu = 0; cpu < contents.cpuCount; cpu++) {
    const offset = cursor.number(8, `the place of CPU ${cpu}`);
    const size = cursor.number(8, `the size of CPU ${cpu}`);
    regions.push({ offset, pages: 0 });
    if (size > 0) found.push({ cpu, offset, size });
  }
  // In the order of the file, so that no byte is read for two CPUs: a damaged table must not multiply the events.
  let free = cursor.position;
  for (const { cpu, offset, size } of found.sort((a, b) => a.offset - b.offset)) {
    if (offset < free || offset >= cursor.size) {
      problems.push(`CPU ${cpu}: its pages are said to be at byte ${offset}, where none can be`);
      continue;
    }
    const there = Math.min(size, cursor.size - offset);
    if (there < size) problems.push(`CPU ${cpu}: the file ends after ${there} of its ${size} bytes`);
    else if (size % layout.pageSize !== 0)
      problems.push(`CPU ${cpu}: ${size} bytes are no whole number of pages of ${layout.pageSize}`);
    regions[cpu].pages = Math.floor(there / layout.pageSize);
    free = offset + there;
  }
  contents.problems.push(...problems.slice(0, MAX_PROBLEMS));
  if (problems.length > MAX_PROBLEMS)
    contents.problems.push(`${problems.length - MAX_PROBLEMS} more CPUs have such problems`);
}
