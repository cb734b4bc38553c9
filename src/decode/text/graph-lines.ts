/**
 * Lines of the tracer function_graph: bytes in, records of funcgraph_entry and funcgraph_exit out.
 * Source: kernel/trace/trace_functions_graph.c.
 *
 *     TIME |   CPU)    task-pid    | ! duration us  |  indent name() {      an entry
 *     TIME |   CPU)    task-pid    | ! duration us  |  indent name();       an entry and its exit in one line
 *     TIME |   CPU)    task-pid    | ! duration us  |  indent } / * name * /  an exit
 *
 * TIME and task-pid are there with the options funcgraph-abstime and funcgraph-proc, the name of an exit with
 * funcgraph-tail. A task's name is cut to 7 bytes and its column is 14 bytes wide or 15, so it can be any bytes. Where a
 * task takes another's place on a CPU there is a banner of three lines. The arrows of interrupts (`==========>`) are no
 * events. A column ` d..1. | ` behind the task has the flags, with the option latency-format; a line ` (Overruns: 0)` is
 * part of the exit before it, with funcgraph-overrun. Events of other kinds come as comments, `/ * name: text * /`.
 */
import type { TimestampNs } from '../../model/time.ts';
import type { FunctionInterner } from './function-interner.ts';
import { bannerEnd, COMMENT_END, commentEnd, endsAs, PROC_COLUMNS } from './graph-text.ts';
import type { LineType } from './line-types.ts';
import { NAME_BYTES } from './name-bytes.ts';
import { parseDecimal, parsedNumber } from './numbers.ts';
import { type LinePrefix, parseFlags } from './prefix.ts';
import { type Scratch, writeNumber } from './scratch.ts';
import { lineEnd, startsWith } from './search.ts';

export interface GraphReader {
  /** Reads one line and hands out its events. Returns where the next begins, or -1 when it is none of the tracer's. */
  line(bytes: Uint8Array, from: number, end: number): number;
}

export interface GraphOptions {
  entry: LineType | undefined;
  exit: LineType | undefined;
  scratch: Scratch;
  functions: FunctionInterner;
  cpuCount: number;
  /** What is filled in for every line. */
  prefix: LinePrefix;
  /** Tells of an event before it is handed out. */
  count(stamp: TimestampNs, recordBytes: number): void;
  /** Hands out the record of a type, with what `prefix` says. */
  handOut(type: LineType): void;
  /** Reads the text of another event. */
  comment(bytes: Uint8Array, from: number, end: number): void;
}

/** Depth of calls that the kernel follows: FTRACE_RETFUNC_DEPTH, include/linux/ftrace.h. */
const MOST_DEPTH = 64;
const INDENT = 2;
const MOST_FLAGS = 8;
/** Bytes of the two records in the kernel's buffer, where their formats are not known. */
const ENTRY_BYTES = 24;
const EXIT_BYTES = 44;
/** Where the text has no times, each event comes this much after the one before: order is all that counts. */
const STEP_NS = 1000;
/** Durations go back from here. */
const FIRST_STAMP_NS = 1e15;

/** Places in the column of doubles: duration of the line in hand, -1 when it has none; */
const DURATION = 0;
/** and the stamp given last where the text has no times. */
const UNKNOWN_STAMP = 1;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const OPEN = 0x28;
const CLOSE = 0x29;
const MINUS = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const STAR = 0x2a;
const ZERO = 0x30;
const SEMICOLON = 0x3b;
const BRACKET = 0x5b;
const BAR = 0x7c;
const BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const NEWLINE_BYTES = Buffer.from('\n');

export function makeGraphReader(options: GraphOptions): GraphReader {
  const { entry, exit, functions, prefix } = options;
  const { scratch } = options;
  const entryFields = fieldsOf(entry);
  const exitFields = fieldsOf(exit);
  /** Functions that were entered and not left, by CPU and depth, as the kernel keeps them. */
  const entered = new Int32Array(options.cpuCount * MOST_DEPTH);
  /** Doubles of the line in hand, in a column: as variables of a closure they would be boxed at each. */
  const ns = new Float64Array(2);
  ns[UNKNOWN_STAMP] = FIRST_STAMP_NS;
  /** Calls too deep to be followed, of the task so far. */
  let overrun = 0;
  /** Place behind the line's front part. */
  let at = 0;

  /** Digits from `at` on; leaves `at` behind them. -1 when there are none. */
  const number = (bytes: Uint8Array, end: number): number => {
    const first = at;
    let value = 0;
    for (let digit = bytes[at] - ZERO; at < end && digit >= 0 && digit <= 9; digit = bytes[++at] - ZERO) {
      value = value * 10 + digit;
    }
    return at === first ? -1 : value;
  };
  const spaces = (bytes: Uint8Array, end: number): void => {
    while (at < end && bytes[at] === SPACE) at++;
  };

  /** `TIME |  CPU) task-pid | `, as far as it is there. False when it is no line of the tracer. */
  const front = (bytes: Uint8Array, from: number, end: number): boolean => {
    at = from;
    spaces(bytes, end);
    let value = number(bytes, end);
    if (value < 0) return false;
    prefix.timestampNs = 0;
    if (bytes[at] === DOT) {
      at++;
      const micros = number(bytes, end);
      if (micros < 0) return false;
      prefix.timestampNs = value * 1e9 + micros * 1000;
      spaces(bytes, end);
      if (bytes[at++] !== BAR) return false;
      spaces(bytes, end);
      value = number(bytes, end);
    }
    if (value < 0 || value >= options.cpuCount || bytes[at] !== CLOSE || bytes[at + 1] !== SPACE)
      return false;
    at += 2;
    prefix.cpu = value;
    prefix.pid = 0;
    prefix.flags = 0;
    prefix.preemptCount = 0;
    return true;
  };

  /** The column of the task: moves behind it when it is there. */
  const task = (bytes: Uint8Array, end: number): void => {
    const width = bytes[at + PROC_COLUMNS + 1] === BAR ? PROC_COLUMNS : PROC_COLUMNS + 1;
    const behind = at + width;
    if (behind + 3 > end || bytes[behind + 1] !== BAR || bytes[behind] !== SPACE) return;
    let last = behind - 1;
    while (last > at && bytes[last] === SPACE) last--;
    let pid = 0;
    let weight = 1;
    let pos = last;
    for (let digit = bytes[pos] - ZERO; pos > at && digit >= 0 && digit <= 9; digit = bytes[--pos] - ZERO) {
      pid += digit * weight;
      weight *= 10;
    }
    if (pos === last || bytes[pos] !== MINUS) return;
    prefix.pid = pid;
    at = behind + 3;
  };

  /** ` d..1. | `, with the option latency-format: moves behind it when it is there. */
  const flags = (bytes: Uint8Array, end: number): void => {
    if (bytes[at] !== SPACE || bytes[at + 1] === SPACE) return;
    let stop = at + 1;
    while (stop < end && bytes[stop] !== SPACE) if (++stop - at > MOST_FLAGS + 1) return;
    if (bytes[stop + 1] !== BAR || bytes[stop + 2] !== SPACE) return;
    parseFlags(bytes, at + 1, stop - at - 1, prefix);
    at = stop + 3;
  };

  /** `! 123.456 us |  `: moves behind it. False when it is no such column. */
  const duration = (bytes: Uint8Array, end: number): boolean => {
    ns[DURATION] = -1;
    at += 2;
    if (bytes[at] >= ZERO && bytes[at] <= 0x39) {
      let value = number(bytes, end) * 1000;
      if (bytes[at] === DOT) {
        at++;
        let weight = 100;
        for (let digit = bytes[at] - ZERO; at < end && digit >= 0 && digit <= 9; digit = bytes[++at] - ZERO) {
          value += digit * weight;
          weight /= 10;
        }
      }
      if (bytes[at] !== SPACE || bytes[at + 1] !== 0x75 || bytes[at + 2] !== 0x73) return false;
      at += 3;
      ns[DURATION] = Math.round(value);
    }
    spaces(bytes, end);
    if (at + 3 > end || bytes[at] !== BAR) return false;
    at += 3;
    return true;
  };

  /** Leaves `at` behind a function's name and ` [module]`; the number that stands for the name. */
  const functionName = (bytes: Uint8Array, end: number): number => {
    const start = at;
    while (at < end && NAME_BYTES[bytes[at]] === 1) at++;
    const name = functions.intern(bytes, start, at);
    if (bytes[at] === SPACE && bytes[at + 1] === BRACKET) {
      while (at < end && bytes[at] !== 0x5d && bytes[at] !== NEWLINE) at++;
      at++;
    }
    return name;
  };

  const handOutEntry = (func: number, depth: number): void => {
    options.count(prefix.timestampNs, entry?.recordBytes ?? ENTRY_BYTES);
    if (entry === undefined) return;
    entryFields.put(scratch, 'func', func);
    entryFields.put(scratch, 'depth', depth);
    options.handOut(entry);
  };

  const handOutExit = (func: number, depth: number, exitStamp: TimestampNs): void => {
    options.count(prefix.timestampNs, exit?.recordBytes ?? EXIT_BYTES);
    if (exit === undefined) return;
    exitFields.put(scratch, 'func', func);
    exitFields.put(scratch, 'depth', depth);
    exitFields.put(scratch, 'calltime', exitStamp - ns[DURATION]);
    exitFields.put(scratch, 'rettime', exitStamp);
    exitFields.put(scratch, 'overrun', overrun);
    prefix.timestampNs = exitStamp;
    options.handOut(exit);
  };

  /** ` (Overruns: 0)` in a line of its own, with the option funcgraph-overrun. Returns where the next line begins. */
  const overruns = (bytes: Uint8Array, stop: number, end: number): number => {
    overrun = 0;
    if (bytes[stop] !== SPACE || !startsWith(bytes, stop, end, OVERRUNS)) return stop;
    const behind = parseDecimal(bytes, stop + OVERRUNS.length, end);
    if (behind < 0 || bytes[behind] !== CLOSE || bytes[behind + 1] !== NEWLINE) return stop;
    overrun = parsedNumber();
    return behind + 2;
  };

  /** What stands behind the columns. */
  const call = (bytes: Uint8Array, end: number, stop: number): number => {
    const indentFrom = at;
    spaces(bytes, end);
    const depth = (at - indentFrom) / INDENT;
    const place = prefix.cpu * MOST_DEPTH + Math.min(depth, MOST_DEPTH - 1);
    if (bytes[at] === SLASH && bytes[at + 1] === STAR) {
      const textEnd = commentEnd(bytes, at + 3, end);
      if (textEnd < 0) return -1;
      // As the event would be printed alone, for it is matched to the end of its line.
      const alone = Buffer.concat([bytes.subarray(at + 3, textEnd), NEWLINE_BYTES]);
      options.comment(alone, 0, alone.length);
      return textEnd + COMMENT_END.length;
    }
    if (!Number.isInteger(depth)) return -1;
    if (bytes[at] === CLOSING_BRACE) {
      if (ns[DURATION] < 0) return -1;
      let func = entered[place];
      if (startsWith(bytes, at + 1, end, TAIL)) {
        at += 1 + TAIL.length;
        func = functionName(bytes, end);
      }
      entered[place] = 0;
      const behind = overruns(bytes, stop, end);
      handOutExit(func, depth, prefix.timestampNs);
      return behind;
    }
    const func = functionName(bytes, end);
    if (bytes[at] !== OPEN) return -1;
    const isLeaf = ns[DURATION] >= 0;
    if (!endsAs(bytes, at, stop, isLeaf ? SEMICOLON : BRACE)) return -1;
    if (!isLeaf) {
      entered[place] = func;
      handOutEntry(func, depth);
      return stop;
    }
    entered[place] = 0;
    overrun = 0;
    const stamp = prefix.timestampNs;
    handOutEntry(func, depth);
    handOutExit(func, depth, stamp + ns[DURATION]);
    return stop;
  };

  return {
    line: (bytes, from, end) => {
      const stop = lineEnd(bytes, from, end);
      if (stop < 0) return -1;
      // The banner's dashes, and ` (Overruns: 0)`.
      if (bytes[from] === SPACE && (bytes[from + 1] === MINUS || bytes[from + 1] === OPEN)) return stop;
      if (!front(bytes, from, end)) return -1;
      const behindBanner = bannerEnd(bytes, at, end);
      if (behindBanner >= 0) return behindBanner;
      task(bytes, end);
      flags(bytes, end);
      // The task's name can hold newlines.
      const lastStop = lineEnd(bytes, at, end);
      if (lastStop < 0) return -1;
      if (bytes[at + 2] === 0x3d || bytes[at + 2] === 0x3c) return lastStop;
      if (prefix.timestampNs === 0) {
        ns[UNKNOWN_STAMP] += STEP_NS;
        prefix.timestampNs = ns[UNKNOWN_STAMP];
      }
      if (!duration(bytes, end)) return -1;
      return call(bytes, end, lastStop);
    },
  };
}

const TAIL = Buffer.from(' /* ');
const OVERRUNS = Buffer.from(' (Overruns: ');

/** Writes integers of a record by field. What a kernel's record does not have is passed over. */
function fieldsOf(type: LineType | undefined) {
  const places = new Map<string, { at: number; size: number }>();
  for (const field of type?.format.fields ?? []) {
    places.set(field.name, { at: (type?.place.base ?? 0) + field.offset, size: field.size });
  }
  const put = (scratch: Scratch, name: string, value: number): void => {
    const place = places.get(name);
    if (place === undefined) return;
    if (place.size === 4 && (place.at & 3) === 0) scratch.words[place.at >> 2] = value;
    else writeNumber(scratch.bytes, place.at, place.size, value);
  };
  return { put };
}
