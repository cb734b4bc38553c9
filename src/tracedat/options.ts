/**
 * Options of trace.dat files: id and data of each enter, facts about the recording leave. Ids and data are those of
 * trace-cmd.dat.v7(5); version 6 has the lower half of them, and its BUFFER ends behind the name.
 */
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

/** More than any kernel has; a larger number is a broken file. */
export const MAX_CPUS = 65536;

/** Where a CPU's pages are said to be. Compressed: their bytes as they lie in the file. */
export interface Extent {
  cpu: number;
  offset: number;
  size: number;
}

/** A buffer of the recording: the top level's, whose name is '', or an instance's. */
export interface BufferEntry {
  name: string;
  /** Where its section (7) or its table of CPUs (6) starts. */
  offset: number;
  /** Of version 7 alone. trace-cmd 3.1 names the top level's clock, whatever the instance's is. */
  clock: string;
  /** 0 where it is not said. */
  pageSize: number;
  extents: Extent[];
  /** The text of a latency tracer instead of pages. */
  isText: boolean;
}

export interface Facts {
  clock: string;
  hasClock: boolean;
  machine: string;
  kernelRelease: string;
  cpuCount: number;
  /** By name of the buffer. */
  stats: Map<string, BufferStats[]>;
  /** Buffer that CPUSTAT options speak of from here on. */
  statsOf: string;
  buffers: BufferEntry[];
  tsc2nsec: { mult: number; shift: number } | undefined;
  /** Names of options that shift all stamps by a constant. */
  shifts: Set<string>;
  hasTimeShift: boolean;
  /** Offsets of the sections of version 7, by the id of option and section. */
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
    statsOf: '',
    buffers: [],
    tsc2nsec: undefined,
    shifts: new Set(),
    hasTimeShift: false,
    sections: new Map(),
  };
}

/** Takes in one option; those that say nothing of metrics are passed over. Returns what is wrong with it, or ''. */
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
      // Sections of version 7: the option has the id of the section.
      if (version === 7 && id >= 16 && data.length === 8)
        facts.sections.set(id, cursor.number(8, 'an offset'));
  }
}

/** `local [mono] boot` → `mono`; '' when none is marked. */
export function selectedClock(text: string): string {
  return /\[([^\]]+)\]/.exec(text)?.[1] ?? '';
}

function takeStats(facts: Facts, text: string): void {
  const buffer = bufferOfCpuStats(text);
  if (buffer !== undefined) facts.statsOf = buffer;
  const stats = parseCpuStats(text);
  if (stats === undefined) return;
  const known = facts.stats.get(facts.statsOf) ?? [];
  known.push(stats);
  facts.stats.set(facts.statsOf, known);
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
    const offset = cursor.number(8, `the place of CPU ${cpu}`);
    entry.extents.push({ cpu, offset, size: cursor.number(8, `the size of CPU ${cpu}`) });
  }
  return entry;
}
