/**
 * Parses lines of the tracer function_graph into records of funcgraph_entry and funcgraph_exit. Source:
 * kernel/trace/trace_functions_graph.c.
 *
 *     TIME |   CPU)    task-pid    | ! duration us  |  indent name() {      an entry
 *     TIME |   CPU)    task-pid    | ! duration us  |  indent name();       an entry and its exit in one line
 *     TIME |   CPU)    task-pid    | ! duration us  |  indent } / * name * /  an exit
 *
 * Tracer options add TIME, task-pid, the name at an exit, flags (` d..1. | `) after task-pid, and a line
 * ` (Overruns: 0)` after an exit. task-pid contains up to 7 bytes of the task's name, which can be any bytes. When a
 * CPU switches tasks, the kernel prints a banner of three lines. The kernel prints other events as comments. Arrows
 * that mark interrupts (`==========>`) are not events.
 */
import type { TimestampNs } from '../../model/time.ts';
import type { FunctionInterner } from './function-interner.ts';
import { makeGraphColumns } from './graph-columns.ts';
import { bannerEnd, COMMENT_END, commentEnd, endsAs } from './graph-text.ts';
import type { LineType } from './line-types.ts';
import { NAME_BYTES } from './name-bytes.ts';
import { parseDecimal, parsedNumber } from './numbers.ts';
import type { LinePrefix } from './prefix.ts';
import { type Scratch, writeNumber } from './scratch.ts';
import { lineEnd, startsWith } from './search.ts';

export interface GraphReader {
  /** Passes a line's events to the handlers. Returns where the next line begins, or -1 for lines of other tracers. */
  line(bytes: Uint8Array, from: number, end: number): number;
}

export interface GraphOptions {
  entry: LineType | undefined;
  exit: LineType | undefined;
  scratch: Scratch;
  functions: FunctionInterner;
  cpuCount: number;
  prefix: LinePrefix;
  /** Called for each event before its handler. `recordBytes`: see `LineType`. */
  count(stamp: TimestampNs, recordBytes: number): void;
  /** Passes the type's record in `scratch`, with the values of `prefix`, to the handler. */
  handOut(type: LineType): void;
  /** Decodes an event that is printed as a comment. */
  comment(bytes: Uint8Array, from: number, end: number): void;
}

/** The kernel keeps fewer call depths (FTRACE_RETFUNC_DEPTH, include/linux/ftrace.h). */
const MOST_DEPTH = 64;
const INDENT = 2;
/** Assumed size of an entry and an exit in the kernel's ring buffer, if the formats are unknown. */
const ENTRY_BYTES = 24;
const EXIT_BYTES = 44;
/** Time between two lines if the text has no timestamps. */
const STEP_NS = 1000;
/** Timestamp of the first line if the text has none. Large, because durations are subtracted from it. */
const FIRST_STAMP_NS = 1e15;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const OPEN = 0x28;
const CLOSE = 0x29;
const MINUS = 0x2d;
const SLASH = 0x2f;
const STAR = 0x2a;
const SEMICOLON = 0x3b;
const BRACKET = 0x5b;
const BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const NEWLINE_BYTES = Buffer.from('\n');

export function makeGraphReader(options: GraphOptions): GraphReader {
  const { functions, prefix, cpuCount } = options;
  /** Functions that have not returned, by CPU and depth, as in the kernel's `enter_funcs`. */
  const entered = new Int32Array(cpuCount * MOST_DEPTH);
  /** Duration in the current line, or -1. In an array, because V8 would allocate an object for each new double. */
  const durationNs = new Float64Array(1);
  const givenStamp = Float64Array.of(FIRST_STAMP_NS);
  const columns = makeGraphColumns(prefix, cpuCount, durationNs);
  const handOut = makeEmitter(options);
  /** Number of the task's calls that were too deep for the tracer, from the line ` (Overruns: …)`. */
  let overrun = 0;
  /** Position in the current line. */
  let at = 0;

  /** Moves `at` past a function's name and ` [module]`. Returns the number of the name in `functions`. */
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

  /** Parses a line ` (Overruns: 0)`, if present. Returns where the next line begins. */
  const overruns = (bytes: Uint8Array, stop: number, end: number): number => {
    overrun = 0;
    if (bytes[stop] !== SPACE || !startsWith(bytes, stop, end, OVERRUNS)) return stop;
    const behind = parseDecimal(bytes, stop + OVERRUNS.length, end);
    if (behind < 0 || bytes[behind] !== CLOSE || bytes[behind + 1] !== NEWLINE) return stop;
    overrun = parsedNumber();
    return behind + 2;
  };

  /** Parses the call, exit or comment after the columns. Returns where the next line begins, or -1. */
  const call = (bytes: Uint8Array, end: number, stop: number): number => {
    const indentFrom = at;
    while (at < end && bytes[at] === SPACE) at++;
    const depth = (at - indentFrom) / INDENT;
    const place = prefix.cpu * MOST_DEPTH + Math.min(depth, MOST_DEPTH - 1);
    if (bytes[at] === SLASH && bytes[at + 1] === STAR) {
      const textEnd = commentEnd(bytes, at + 3, end);
      if (textEnd < 0) return -1;
      // Copy the event to a line of its own: programs match up to a newline.
      const comment = Buffer.concat([bytes.subarray(at + 3, textEnd), NEWLINE_BYTES]);
      options.comment(comment, 0, comment.length);
      return textEnd + COMMENT_END.length;
    }
    if (!Number.isInteger(depth)) return -1;
    if (bytes[at] === CLOSING_BRACE) {
      if (durationNs[0] < 0) return -1;
      let func = entered[place];
      if (startsWith(bytes, at + 1, end, TAIL)) {
        at += 1 + TAIL.length;
        func = functionName(bytes, end);
      }
      entered[place] = 0;
      const behind = overruns(bytes, stop, end);
      handOut.exit(func, depth, prefix.timestampNs, durationNs[0], overrun);
      return behind;
    }
    const func = functionName(bytes, end);
    if (bytes[at] !== OPEN) return -1;
    const isLeaf = durationNs[0] >= 0;
    if (!endsAs(bytes, at, stop, isLeaf ? SEMICOLON : BRACE)) return -1;
    if (!isLeaf) {
      entered[place] = func;
      handOut.entry(func, depth);
      return stop;
    }
    entered[place] = 0;
    overrun = 0;
    const stamp = prefix.timestampNs;
    handOut.entry(func, depth);
    handOut.exit(func, depth, stamp + durationNs[0], durationNs[0], overrun);
    return stop;
  };

  return {
    line: (bytes, from, end) => {
      const stop = lineEnd(bytes, from, end);
      if (stop < 0) return -1;
      // Skip the dashes of a banner, or ` (Overruns: 0)`.
      if (bytes[from] === SPACE && (bytes[from + 1] === MINUS || bytes[from + 1] === OPEN)) return stop;
      at = columns.front(bytes, from, end);
      if (at < 0) return -1;
      const behindBanner = bannerEnd(bytes, at, end);
      if (behindBanner >= 0) return behindBanner;
      at = columns.flags(bytes, columns.task(bytes, at, end), end);
      // The task's name can contain newlines.
      const lastStop = lineEnd(bytes, at, end);
      if (lastStop < 0) return -1;
      if (bytes[at + 2] === 0x3d || bytes[at + 2] === 0x3c) return lastStop;
      if (prefix.timestampNs === 0) {
        givenStamp[0] += STEP_NS;
        prefix.timestampNs = givenStamp[0];
      }
      at = columns.duration(bytes, at, end);
      return at < 0 ? -1 : call(bytes, end, lastStop);
    },
  };
}

const TAIL = Buffer.from(' /* ');
const OVERRUNS = Buffer.from(' (Overruns: ');

/** Makes the functions that count an entry or exit and pass its record to `handOut`. */
function makeEmitter({ entry, exit, scratch, prefix, count, handOut }: GraphOptions) {
  const entryFields = fieldsOf(entry);
  const exitFields = fieldsOf(exit);
  return {
    entry: (func: number, depth: number): void => {
      count(prefix.timestampNs, entry?.recordBytes ?? ENTRY_BYTES);
      if (entry === undefined) return;
      entryFields.put(scratch, 'func', func);
      entryFields.put(scratch, 'depth', depth);
      handOut(entry);
    },
    exit: (func: number, depth: number, stamp: TimestampNs, durationNs: number, overrun: number): void => {
      count(prefix.timestampNs, exit?.recordBytes ?? EXIT_BYTES);
      if (exit === undefined) return;
      exitFields.put(scratch, 'func', func);
      exitFields.put(scratch, 'depth', depth);
      exitFields.put(scratch, 'calltime', stamp - durationNs);
      exitFields.put(scratch, 'rettime', stamp);
      exitFields.put(scratch, 'overrun', overrun);
      prefix.timestampNs = stamp;
      handOut(exit);
    },
  };
}

/** Makes a function that writes a record's integers by field name, and ignores unknown names. */
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
