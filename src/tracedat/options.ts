/** Parses the options of trace.dat files, and collects their values in `Facts`. Source: trace-cmd.dat.v7(5). */
import type { BufferStats } from '../model/source.ts';
import { bufferOfCpuStats, parseCpuStats } from './cpu-stats.ts';
import { Broken, Cursor, memoryInput } from './cursor.ts';
import {
  OPTION_BUFFER,
  OPTION_BUFFER_TEXT,
  OPTION_CPUCOUNT,
  OPTION_CPUSTAT,
  OPTION_DATE,
  OPTION_OFFSET,
  OPTION_TIME_SHIFT,
  OPTION_TRACECLOCK,
  OPTION_TSC2NSEC,
  OPTION_UNAME,
} from './trace-dat.ts';

/** Maximum number of CPUs; no kernel supports more. A larger number means that the file is damaged. */
export const MAX_CPUS = 65536;

/** Position of one CPU's pages in the file, in bytes. The pages may be compressed. The numbers are not checked. */
export interface Extent {
  cpu: number;
  offset: number;
  size: number;
}

/** A buffer of the recording: the top level, with the name '', or an instance. */
export interface BufferEntry {
  name: string;
  /** Offset of the section (version 7), of the table of CPUs (version 6), or of the table's end once it is read. */
  offset: number;
  /** '' in version 6. In version 7, trace-cmd 3.1 writes the top level's clock even for instances. */
  clock: string;
  /** 0 if the file does not contain the page size. */
  pageSize: number;
  extents: Extent[];
  /** Whether the buffer contains the text of a latency tracer instead of pages. */
  isText: boolean;
}

export interface Facts {
  clock: string;
  hasClock: boolean;
  machine: string;
  kernelRelease: string;
  cpuCount: number;
  /** Counters of the CPUs, by buffer name. */
  stats: Map<string, BufferStats[]>;
  /** Name of the buffer that the next CPUSTAT options describe. */
  statsBuffer: string;
  buffers: BufferEntry[];
  tsc2nsec: { mult: number; shift: number } | undefined;
  /** Names of options that shift all timestamps by a constant. */
  shifts: Set<string>;
  hasTimeShift: boolean;
  /** Offsets of the sections of a version 7 file, by section ID. */
  sections: Map<number, number>;
}

export function noFacts(): Facts {
  return {
    clock: '',
    hasClock: false,
    machine: '',
    kernelRelease: '',
    cpuCount: 0,
    stats: new Map(),
    statsBuffer: '',
    buffers: [],
    tsc2nsec: undefined,
    shifts: new Set(),
    hasTimeShift: false,
    sections: new Map(),
  };
}

/** Ignores options that replay does not need. Returns an error message, or '' on success. */
export function takeOption(facts: Facts, id: number, data: Buffer, version: 6 | 7): string {
  const cursor = new Cursor(memoryInput(data, `option ${id}`));
  try {
    take(facts, id, cursor, data, version);
    return '';
  } catch (error) {
    if (error instanceof Broken) return error.message;
    throw error;
  }
}

function take(facts: Facts, id: number, cursor: Cursor, data: Buffer, version: 6 | 7): void {
  const text = () => data.toString('utf8').split('\0')[0];
  switch (id) {
    case OPTION_TRACECLOCK:
      facts.hasClock = true;
      facts.clock = selectedClock(text());
      return;
    case OPTION_UNAME: {
      const words = text().trim().split(' ');
      facts.machine = words.at(-1) ?? '';
      facts.kernelRelease = words[2] ?? '';
      return;
    }
    case OPTION_CPUSTAT:
      takeStats(facts, text());
      return;
    case OPTION_CPUCOUNT:
      facts.cpuCount = cursor.number(4, 'the number of CPUs');
      return;
    case OPTION_BUFFER:
    case OPTION_BUFFER_TEXT:
      if (facts.buffers.length < MAX_CPUS) facts.buffers.push(readBuffer(cursor, id, version));
      return;
    case OPTION_TSC2NSEC:
      facts.tsc2nsec = { mult: cursor.number(4, 'the multiplier'), shift: cursor.number(4, 'the shift') };
      return;
    case OPTION_OFFSET:
      facts.shifts.add('OFFSET');
      return;
    case OPTION_DATE:
      facts.shifts.add('DATE');
      return;
    case OPTION_TIME_SHIFT:
      facts.hasTimeShift = true;
      return;
    default:
      // In version 7, an option with a section's ID contains the section's offset.
      if (version === 7 && id >= 16 && data.length === 8)
        facts.sections.set(id, cursor.number(8, 'an offset'));
  }
}

/** Returns the clock that is in brackets: `mono` for `local [mono] boot`; '' if there are no brackets. */
export function selectedClock(text: string): string {
  return /\[([^\]]+)\]/.exec(text)?.[1] ?? '';
}

function takeStats(facts: Facts, text: string): void {
  const buffer = bufferOfCpuStats(text);
  if (buffer !== undefined) facts.statsBuffer = buffer;
  const stats = parseCpuStats(text);
  if (stats === undefined) return;
  const list = facts.stats.get(facts.statsBuffer) ?? [];
  list.push(stats);
  facts.stats.set(facts.statsBuffer, list);
}

function readBuffer(cursor: Cursor, id: number, version: 6 | 7): BufferEntry {
  const entry: BufferEntry = {
    offset: cursor.number(8, 'the offset of a buffer'),
    name: cursor.name('the name of a buffer'),
    clock: '',
    pageSize: 0,
    extents: [],
    isText: id === OPTION_BUFFER_TEXT,
  };
  if (version === 6) return entry;
  entry.clock = cursor.name('the clock of a buffer');
  if (entry.isText) return entry;
  entry.pageSize = cursor.number(4, 'the page size of a buffer');
  const count = cursor.number(4, 'the number of CPUs of a buffer');
  for (let i = 0; i < count; i++) {
    const cpu = cursor.number(4, 'the number of a CPU');
    const offset = cursor.number(8, `the offset of CPU ${cpu}`);
    entry.extents.push({ cpu, offset, size: cursor.number(8, `the size of CPU ${cpu}`) });
  }
  return entry;
}
