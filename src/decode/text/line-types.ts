/**
 * Determines how each event's lines begin, and compiles programs that read the *wanted* fields: those that a probe
 * reads.
 */
import { reasonOf } from '../../model/errors.ts';
import type { EventFormat } from '../../model/format.ts';
import { BLOCK_EVENT } from './blk-format.ts';
import { compileFmt, isCommon } from './compile-fmt.ts';
import type { Program } from './program.ts';
import { makeScratch, type RecordPlace, type Scratch } from './scratch.ts';
import type { TextEventType } from './types.ts';
import { userEventFormats } from './user-event-text.ts';

export interface LineType {
  event: string;
  format: EventFormat;
  slot: number;
  place: RecordPlace;
  /** How the event's lines begin after the prefix, or one of `NUMBER`, `FUNCTION`, `GRAPH` and `BLOCK`. */
  start: string;
  /** Programs for the text after `start` and an optional space. The first match counts. */
  programs: readonly Program[];
  /** Programs for lines that begin with `start` but are only counted, not handled. */
  others: readonly Program[];
  /** The format has no print fmt. The event's text can then have any form and several lines. */
  isOpen: boolean;
  /** Offsets in the scratch buffer: `pidWord` in words, the others in bytes. */
  pidWord: number;
  flagsByte: number;
  preemptByte: number;
  /** Approximate size of a record in the kernel's ring buffer. */
  recordBytes: number;
}

/** `start` of lines that begin with a number or `#`. */
export const NUMBER = '#';
/** `start` of lines that begin with the name of a function. */
export const FUNCTION = '<-';
/** `start` of lines of function_graph, which have another prefix. */
export const GRAPH = '|';
/** `start` of lines of blk, which `blk-line.ts` parses. */
export const BLOCK = 'blk';

/** How the kernel prints a record: one print fmt in `formats` per variant. `start` and `others`: as in `LineType`. */
interface Printed {
  start: string;
  formats: readonly string[];
  others?: readonly string[];
}

/** Events whose text does not follow their print fmt. Source: kernel/trace/trace_output.c. */
const PRINTED: Readonly<Record<string, Printed>> = {
  // From trace_timerlat_print().
  'ftrace:timerlat': {
    start: NUMBER,
    formats: [
      // The names are those of timerlat_lat_context[]; `user-ret` exists since 6.5.
      '"#%-5u context %6s timer_latency %9llu ns", REC->seqnum, __print_symbolic(REC->context, { 0, "irq" }, { 1, "thread" }, { 2, "user-ret" }), REC->timer_latency',
    ],
  },
  // From trace_hwlat_print().
  'ftrace:hwlat': { start: NUMBER, formats: hwlatFormats() },
  // From trace_osnoise_print().
  'ftrace:osnoise': {
    start: NUMBER,
    formats: [
      '"%llu %10llu %3llu.%05llu %7llu %6u %6u %6u %6u %6u", REC->runtime, REC->noise, 0, 0, REC->max_sample, REC->hw_count, REC->nmi_count, REC->irq_count, REC->softirq_count, REC->thread_count',
    ],
  },
  // From trace_fn_trace(): the usual form, with the option func-args, without a parent. `others`:
  // trace_func_repeats_print().
  'ftrace:function': {
    start: FUNCTION,
    formats: [
      '"%ps <-%ps", REC->ip, REC->parent_ip',
      '"%ps(%pU <-%ps", REC->ip, 0, REC->parent_ip',
      '"%ps", REC->ip',
    ],
    others: ['"%ps <-%ps (repeats: %pU", 0, 0, 0'],
  },
  // From trace_print_print(). The function that wrote the record has this name.
  'ftrace:print': { start: 'tracing_mark_write:', formats: ['"%s", REC->buf'] },
};

function hwlatFormats(): string[] {
  // Kernels since 5.7 print the count.
  return ['', ' count:%d'].flatMap((count) => {
    const text = `#%-5u inner/outer(us): %4llu/%-5llu ts:%lld.%09ld${count}`;
    const own = 'REC->seqnum, REC->duration, REC->outer_duration, REC->tv_sec, REC->tv_nsec';
    const fields = count === '' ? own : `${own}, REC->count`;
    return [
      `"${text}", ${fields}`,
      `"${text} nmi-total:%llu nmi-count:%u", ${fields}, REC->nmi_total_ts, REC->nmi_count`,
      `"${text} nmi-count:%u", ${fields}, REC->nmi_count`,
    ];
  });
}

/** Kernels before 4.3 also print an event with `success=0` if the task was already awake. */
const ALREADY_AWAKE: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  ['sched:sched_wakeup', 'sched:sched_wakeup_new', 'sched:sched_waking'].map((event) => [
    event,
    [
      '"comm=%s pid=%d prio=%d success=0 target_cpu=%03d", 0, 0, 0, 0',
      '"%s:%d [%d] success=0 CPU:%03d", 0, 0, 0, 0',
    ],
  ]),
);

/** String fields that never contain a newline, because programs do not choose their contents. */
const ONE_LINE: readonly (readonly [events: RegExp, fields: readonly string[]])[] = [
  [/^irq:irq_handler_entry$/, ['name']],
  [/^osnoise:irq_noise$/, ['desc']],
  [/^block:/, ['rwbs', 'cmd']],
];

const ENTER = /^syscalls:sys_enter_(.+)$/;
const EXIT = /^syscalls:sys_exit_(.+)$/;
const GRAPH_EVENT = /^ftrace:funcgraph_(?:entry|exit)$/;

export interface LineTypes {
  types: LineType[];
  scratch: Scratch;
}

/** Compiles all types. Throws an `Error` if an event's text lacks a wanted field; `textProblem` checks this. */
export function compileTypes(requested: readonly TextEventType[], slots: Uint16Array): LineTypes {
  const wanted = requested.map(withText);
  const { scratch, places } = makeScratch(wanted);
  const types = wanted.map((type, i) => {
    try {
      return compileType(type, places[i], slots);
    } catch (error) {
      throw new Error(`${type.event}: ${reasonOf(error)}`);
    }
  });
  return { types, scratch };
}

/** The text of a marker (`ftrace:print`) is the field `buf`. */
function withText(type: TextEventType): TextEventType {
  return type.event === 'ftrace:print' ? { ...type, fields: [...type.fields, 'buf'] } : type;
}

const NO_SLOTS = new Uint16Array(65536);

/** Returns the reason why the fields can't be read from text, or undefined. */
export function textProblem(type: TextEventType): string | undefined {
  // The common fields are in the prefix.
  if (type.fields.every(isCommon)) return undefined;
  try {
    compileType(type, makeScratch([type]).places[0], NO_SLOTS);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/**
 * Makes a variant of `textProblem` for events in the same text. Text contains no event systems, so only one of two
 * events with the same name can be read.
 */
export function makeTextProblems(): (type: TextEventType) => string | undefined {
  const firstByName = new Map<string, string>();
  return (type) => {
    const [system, name] = type.event.split(':');
    const first = firstByName.get(name) ?? type.event;
    if (first !== type.event && system !== 'ftrace')
      return `its text looks the same as that of ${first}, which is also read`;
    const problem = textProblem(type);
    if (problem === undefined) firstByName.set(name, first);
    return problem;
  };
}

function compileType(type: TextEventType, place: RecordPlace, slots: Uint16Array): LineType {
  const { event, format } = type;
  const offsetOf = (name: string, otherwise: number) =>
    place.base + (format.fields.find((field) => field.name === name)?.offset ?? otherwise);
  const { start, programs, others } = linesOf(type, place);
  return {
    event,
    format,
    slot: slots[format.id],
    place,
    start,
    programs,
    others,
    isOpen: format.printFmt === '' && start === `${format.name}:`,
    pidWord: offsetOf('common_pid', 4) >> 2,
    flagsByte: offsetOf('common_flags', 2),
    preemptByte: offsetOf('common_preempt_count', 3),
    recordBytes: 4 + Math.max(8, ...format.fields.map((field) => field.offset + field.size)),
  };
}

function linesOf(
  { event, format, fields, addresses = [] }: TextEventType,
  place: RecordPlace,
): Pick<LineType, 'start' | 'programs' | 'others'> {
  const oneLine = ONE_LINE.find(([events]) => events.test(event))?.[1] ?? [];
  const compiled = (printFmt: string, lacksZeroes: boolean) =>
    compileFmt({ format, fields, printFmt, isVariant: true, lacksZeroes, oneLine, place });
  const ownFormat = (printFmt: string, _: number, all: readonly string[]) =>
    compileFmt({ format, fields, addresses, printFmt, isVariant: all.length > 1, oneLine, place });
  const printed = PRINTED[event];
  if (printed !== undefined) {
    return {
      start: printed.start,
      programs: printed.formats.map((printFmt) => compiled(printFmt, true)),
      others: (printed.others ?? []).map((printFmt) => compiled(printFmt, true)),
    };
  }
  if (event === BLOCK_EVENT) return { start: BLOCK, programs: [], others: [] };
  if (GRAPH_EVENT.test(event)) return { start: GRAPH, programs: [], others: [] };
  // Source: kernel/trace/trace_syscalls.c, print_syscall_enter() and print_syscall_exit().
  const enter = ENTER.exec(event);
  if (enter !== null) {
    const own = fields.filter((field) => !isCommon(field));
    if (own.length > 0) throw new Error(`its text does not contain the recorded value of ${own.join(', ')}`);
    return {
      start: `sys_${enter[1]}(`,
      programs: [compileFmt({ format, fields: [], printFmt: '', place })],
      others: [],
    };
  }
  const exit = EXIT.exec(event);
  if (exit !== null) {
    return { start: `sys_${exit[1]} `, programs: [compiled('"-> 0x%lx", REC->ret', false)], others: [] };
  }
  const printFmts = userEventFormats(format) ?? printFmtsOf(format);
  const others = printFmts.length > 1 ? (ALREADY_AWAKE[event] ?? []) : [];
  return {
    start: `${format.name}:`,
    programs: printFmts.map(ownFormat),
    others: others.map((printFmt) => compiled(printFmt, true)),
  };
}

/** A kernel's format has one print fmt. A format of `known-formats.ts` has one per variant. */
function printFmtsOf({ printFmt }: EventFormat): string[] {
  return printFmt.split(/\nprint fmt:[ \t]*/);
}
