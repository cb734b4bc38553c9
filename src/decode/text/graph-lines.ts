/**
 * Parses lines of the tracer function_graph into records of funcgraph_entry and funcgraph_exit.
 * Source: kernel/trace/trace_functions_graph.c.
 *
 *     TIME |   CPU)    task-pid    | ! duration us  |  indent name() {      an entry
 *     TIME |   CPU)    task-pid    | ! duration us  |  indent name();       an entry and its exit in one line
 *     TIME |   CPU)    task-pid    | ! duration us  |  indent } / * name * /  an exit
 *
 * The options funcgraph-abstime and funcgraph-proc add TIME and task-pid, funcgraph-tail adds the name of an exit. A
 * task's name is cut to 7 bytes and can be any bytes: its column has 14 or 15 bytes. When a CPU switches tasks, a banner
 * of three lines follows. Arrows of interrupts (`==========>`) are not events. The option latency-format adds a column
 * ` d..1. | ` with the flags after the task. funcgraph-overrun adds a line ` (Overruns: 0)` that belongs to the exit
 * before it. Events of other kinds are printed as comments, `/ * name: text * /`.
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
  /** Parses one line and emits its events. Returns where the next begins, or -1 if it is not a line of this tracer. */
  line(bytes: Uint8Array, from: number, end: number): number;
}

export interface GraphOptions {
  entry: LineType | undefined;
  exit: LineType | undefined;
  scratch: Scratch;
  functions: FunctionInterner;
  cpuCount: number;
  /** Filled in for every line. */
  prefix: LinePrefix;
  /** Counts an event before it is emitted. */
  count(stamp: TimestampNs, recordBytes: number): void;
  /** Emits the record of a type with the values of `prefix`. */
  handOut(type: LineType): void;
  /** Decodes the text of another event. */
  comment(bytes: Uint8Array, from: number, end: number): void;
}

/** Call depth that the kernel tracks: FTRACE_RETFUNC_DEPTH, include/linux/ftrace.h. */
const MOST_DEPTH = 64;
const INDENT = 2;
const MOST_FLAGS = 8;
/** Bytes of the two records in the kernel's buffer, if their formats are unknown. */
const ENTRY_BYTES = 24;
const EXIT_BYTES = 44;
/** If the text has no times, each event gets a time this much later than the one before, to keep the order. */
const STEP_NS = 1000;
/** Start of these times. It is large, because durations are subtracted from it. */
const FIRST_STAMP_NS = 1e15;

/** Indices into the array of doubles: duration of the current line, or -1 if it has none; */
const DURATION = 0;
/** and the last time given to an event, if the text has no times. */
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
  /** Functions that were entered but not left, by CPU and depth, as in the kernel. */
  const entered = new Int32Array(options.cpuCount * MOST_DEPTH);
  /** Doubles of the current line. In an array, because V8 would box a closure's doubles at each write. */
  const ns = new Float64Array(2);
  ns[UNKNOWN_STAMP] = FIRST_STAMP_NS;
  /** Current depth of the task's calls beyond the depth that is tracked. */
  let overrun = 0;
  /** Position in the current line. */
  let at = 0;

  /** Parses digits at `at` and moves past them. Returns -1 if there are none. */
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

  /** Parses `TIME |  CPU) task-pid | `, with its optional parts. Returns false if it is not a line of this tracer. */
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

  /** Moves past the task's column if there is one. */
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

  /** Moves past ` d..1. | `, which the option latency-format adds, if it is there. */
  const flags = (bytes: Uint8Array, end: number): void => {
    if (bytes[at] !== SPACE || bytes[at + 1] === SPACE) return;
    let stop = at + 1;
    while (stop < end && bytes[stop] !== SPACE) if (++stop - at > MOST_FLAGS + 1) return;
    if (bytes[stop + 1] !== BAR || bytes[stop + 2] !== SPACE) return;
    parseFlags(bytes, at + 1, stop - at - 1, prefix);
    at = stop + 3;
  };

  /** Moves past `! 123.456 us |  `. Returns false if there is no such column. */
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

  /** Moves past a function's name and ` [module]`. Returns the number of the name. */
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

  /** Parses a line ` (Overruns: 0)`, which funcgraph-overrun adds. Returns where the next line begins. */
  const overruns = (bytes: Uint8Array, stop: number, end: number): number => {
    overrun = 0;
    if (bytes[stop] !== SPACE || !startsWith(bytes, stop, end, OVERRUNS)) return stop;
    const behind = parseDecimal(bytes, stop + OVERRUNS.length, end);
    if (behind < 0 || bytes[behind] !== CLOSE || bytes[behind + 1] !== NEWLINE) return stop;
    overrun = parsedNumber();
    return behind + 2;
  };

  /** Parses what follows the columns. */
  const call = (bytes: Uint8Array, end: number, stop: number): number => {
    const indentFrom = at;
    spaces(bytes, end);
    const depth = (at - indentFrom) / INDENT;
    const place = prefix.cpu * MOST_DEPTH + Math.min(depth, MOST_DEPTH - 1);
    if (bytes[at] === SLASH && bytes[at + 1] === STAR) {
      const textEnd = commentEnd(bytes, at + 3, end);
      if (textEnd < 0) return -1;
      // Print the event as its own line, because it is matched to the end of a line.
      const comment = Buffer.concat([bytes.subarray(at + 3, textEnd), NEWLINE_BYTES]);
      options.comment(comment, 0, comment.length);
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
      // The dashes of a banner, or ` (Overruns: 0)`.
      if (bytes[from] === SPACE && (bytes[from + 1] === MINUS || bytes[from + 1] === OPEN)) return stop;
      if (!front(bytes, from, end)) return -1;
      const behindBanner = bannerEnd(bytes, at, end);
      if (behindBanner >= 0) return behindBanner;
      task(bytes, end);
      flags(bytes, end);
      // The task's name can contain newlines.
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

/** Makes a function that writes a record's integers by field name. Ignores fields that the kernel's record lacks. */
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
