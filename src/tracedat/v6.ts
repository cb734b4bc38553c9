/** Reads formats, options and tables of CPUs from a trace.dat file of version 6. Format: trace-cmd.dat.v6(5). */
import { UsageError } from '../model/errors.ts';
import { Broken, type Cursor } from './cursor.ts';
import { type BufferEntry, type Extent, type Facts, MAX_CPUS, selectedClock, takeOption } from './options.ts';
import { type Formats, MAX_PROBLEMS, readEventFormats, readFtraceFormats } from './parts.ts';
import { FLYRECORD, LATENCY, OPTION_DONE, OPTIONS, SECTION_BYTES } from './trace-dat.ts';

/** The readers add each part as soon as it is read, so a damaged file provides the parts before the damage. */
export interface FileParts {
  formats: Formats;
  facts: Facts;
  problems: string[];
  /** Reads the text of /proc/kallsyms, which is large; '' if the file does not contain it. */
  kallsyms(): string;
}

/** Adds the buffers to `facts`, the top level first. Throws `Broken`, or `UsageError` for text of a latency tracer. */
export function readV6(cursor: Cursor, file: string, parts: FileParts): void {
  const { facts } = parts;
  readFtraceFormats(cursor, parts.formats);
  readEventFormats(cursor, parts.formats);
  const symbols = cursor.at(cursor.position);
  cursor.skip(cursor.number(4, 'kallsyms'), 'kallsyms');
  parts.kallsyms = () => symbols.at(symbols.position).text(4, 'kallsyms');
  cursor.skip(cursor.number(4, 'the printk formats'), 'the printk formats');
  cursor.skip(cursor.number(8, 'the command lines'), 'the command lines');
  const start = cursor.position;
  const cpus = cursor.number(4, 'the number of CPUs');
  if (cpus > MAX_CPUS) throw cursor.broken(start, `${cpus} CPUs are impossible`);
  readToTable(cursor, file, parts);
  facts.cpuCount = Math.max(facts.cpuCount, cpus);
  const instances = facts.buffers;
  const top: BufferEntry = { name: '', offset: start, clock: '', pageSize: 0, extents: [], isText: false };
  facts.buffers = [top, ...instances];
  readTable(cursor, cpus, top);
  top.offset = cursor.position;
  if (facts.hasClock && facts.clock === '') readClock(cursor, facts);
  for (const instance of instances) readInstance(cursor, file, parts, instance, cpus);
}

/** Reads the options, up to the table of CPUs. */
function readToTable(cursor: Cursor, file: string, parts: FileParts): void {
  for (;;) {
    const at = cursor.position;
    const section = cursor.bytes(SECTION_BYTES, 'the name of a section').toString('latin1');
    if (section === FLYRECORD) return;
    if (section === LATENCY)
      throw new UsageError(`${file} contains the text of a latency tracer, not events`);
    if (section !== OPTIONS) throw cursor.broken(at, `unknown section ${JSON.stringify(section)}`);
    readOptions(cursor, parts);
  }
}

function readOptions(cursor: Cursor, { facts, problems }: FileParts): void {
  for (;;) {
    const at = cursor.position;
    const id = cursor.number(2, 'an option');
    if (id === OPTION_DONE) return;
    const wrong = takeOption(facts, id, cursor.bytes(cursor.number(4, 'an option'), 'an option'), 6);
    if (wrong !== '' && problems.length < MAX_PROBLEMS)
      problems.push(`ignored the option at byte ${at}: ${wrong}`);
  }
}

function readTable(cursor: Cursor, cpus: number, buffer: BufferEntry): void {
  const extents: Extent[] = [];
  for (let cpu = 0; cpu < cpus; cpu++) {
    const offset = cursor.number(8, `the offset of CPU ${cpu}`);
    extents.push({ cpu, offset, size: cursor.number(8, `the size of CPU ${cpu}`) });
  }
  buffer.extents = extents;
}

/** Reads the text of `trace_clock`, which old versions of trace-cmd write after the table. */
function readClock(cursor: Cursor, facts: Facts): void {
  try {
    facts.clock = selectedClock(cursor.text(8, 'the clock'));
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
  }
}

/** Options precede the table only if the number of CPUs differs from that of the top level. */
function readInstance(
  cursor: Cursor,
  file: string,
  parts: FileParts,
  buffer: BufferEntry,
  cpus: number,
): void {
  const { facts, problems } = parts;
  const own = cursor.at(buffer.offset);
  const before = facts.cpuCount;
  facts.cpuCount = cpus;
  try {
    readToTable(own, file, parts);
    if (facts.cpuCount > MAX_CPUS) throw own.broken(buffer.offset, `${facts.cpuCount} CPUs are impossible`);
    readTable(own, facts.cpuCount, buffer);
    buffer.offset = own.position;
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    if (problems.length < MAX_PROBLEMS)
      problems.push(`the instance ${buffer.name} is truncated or damaged ${error.message}`);
  }
  facts.cpuCount = Math.max(before, Math.min(facts.cpuCount, MAX_CPUS));
}
