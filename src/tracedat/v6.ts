/**
 * The front part of a trace.dat file of version 6, behind the sizes of long and page: a cursor enters, its formats,
 * options and tables of CPUs leave, as far as they can be read. Format: trace-cmd.dat.v6(5).
 */
import { UsageError } from '../model/errors.ts';
import { Broken, type Cursor } from './cursor.ts';
import { type BufferEntry, type Extent, type Facts, MAX_CPUS, selectedClock, takeOption } from './options.ts';
import { type Formats, MAX_PROBLEMS, readEventFormats, readFtraceFormats } from './parts.ts';
import { FLYRECORD, LATENCY, OPTION_DONE, OPTIONS, SECTION_BYTES } from './trace-dat.ts';

/** What a file holds, of either version; filled while it is read, so that a file that breaks off gives the rest. */
export interface Found {
  formats: Formats;
  facts: Facts;
  problems: string[];
  /** Text of /proc/kallsyms; '' where the file has none. Large: read when it is asked for. */
  kallsyms(): string;
}

/** Reads on behind `header_event`; the buffers are in `facts` afterwards, the top level's first. Throws `Broken`. */
export function readV6(cursor: Cursor, file: string, found: Found): void {
  const { facts } = found;
  readFtraceFormats(cursor, found.formats);
  readEventFormats(cursor, found.formats);
  const symbols = cursor.at(cursor.position);
  cursor.skip(cursor.number(4, 'kallsyms'), 'kallsyms');
  found.kallsyms = () => symbols.at(symbols.position).text(4, 'kallsyms');
  cursor.skip(cursor.number(4, 'the printk formats'), 'the printk formats');
  cursor.skip(cursor.number(8, 'the command lines'), 'the command lines');
  const start = cursor.position;
  const cpus = cursor.number(4, 'the number of CPUs');
  if (cpus > MAX_CPUS) throw cursor.broken(start, `${cpus} CPUs cannot be`);
  readToTable(cursor, file, found);
  facts.cpuCount = Math.max(facts.cpuCount, cpus);
  const instances = facts.buffers;
  const top: BufferEntry = { name: '', offset: start, clock: '', pageSize: 0, extents: [], isText: false };
  facts.buffers = [top, ...instances];
  readTable(cursor, cpus, top);
  top.offset = cursor.position;
  if (facts.hasClock && facts.clock === '') readClock(cursor, facts);
  for (const instance of instances) readInstance(cursor, file, found, instance, cpus);
}

/** Passes over the sections before the table of CPUs, taking in options. */
function readToTable(cursor: Cursor, file: string, found: Found): void {
  for (;;) {
    const at = cursor.position;
    const section = cursor.bytes(SECTION_BYTES, 'the name of a section').toString('latin1');
    if (section === FLYRECORD) return;
    if (section === LATENCY) throw new UsageError(`${file} holds the text of a latency tracer, not events`);
    if (section !== OPTIONS) throw cursor.broken(at, `there is no section ${JSON.stringify(section)}`);
    readOptions(cursor, found);
  }
}

function readOptions(cursor: Cursor, { facts, problems }: Found): void {
  for (;;) {
    const at = cursor.position;
    const id = cursor.number(2, 'an option');
    if (id === OPTION_DONE) return;
    const wrong = takeOption(facts, id, cursor.bytes(cursor.number(4, 'an option'), 'an option'), 6);
    if (wrong !== '' && problems.length < MAX_PROBLEMS)
      problems.push(`the option at byte ${at} is passed over: ${wrong}`);
  }
}

function readTable(cursor: Cursor, cpus: number, buffer: BufferEntry): void {
  const extents: Extent[] = [];
  for (let cpu = 0; cpu < cpus; cpu++) {
    const offset = cursor.number(8, `the place of CPU ${cpu}`);
    extents.push({ cpu, offset, size: cursor.number(8, `the size of CPU ${cpu}`) });
  }
  buffer.extents = extents;
}

/** Old versions put the text of `trace_clock` behind the table. */
function readClock(cursor: Cursor, facts: Facts): void {
  try {
    facts.clock = selectedClock(cursor.text(8, 'the clock'));
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
  }
}

/** An instance has options of its own, where its number of CPUs differs, and a table. */
function readInstance(cursor: Cursor, file: string, found: Found, buffer: BufferEntry, cpus: number): void {
  const { facts, problems } = found;
  const own = cursor.at(buffer.offset);
  const before = facts.cpuCount;
  facts.cpuCount = cpus;
  try {
    readToTable(own, file, found);
    if (facts.cpuCount > MAX_CPUS) throw own.broken(buffer.offset, `${facts.cpuCount} CPUs cannot be`);
    readTable(own, facts.cpuCount, buffer);
    buffer.offset = own.position;
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    if (problems.length < MAX_PROBLEMS)
      problems.push(`the instance ${buffer.name} is cut off or damaged ${error.message}`);
  }
  facts.cpuCount = Math.max(before, Math.min(facts.cpuCount, MAX_CPUS));
}
