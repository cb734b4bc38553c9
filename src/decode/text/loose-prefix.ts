/**
 * Parses prefixes of event lines in files from other kernels or tools, and rewrites them to the form that `prefix.ts`
 * parses. Never used for a running kernel: a task could choose a name that looks like such a prefix.
 *
 *     surfaceflinger-598   ( 598) [004] d..4 10852.771240: …     pid in 5 columns, any indentation, long names
 *     worker-200  [001]  76.211513456: …                         without flags, with nanoseconds: trace-cmd report
 *          cat-173       3.....    0us+: …                       with the option latency-format
 */

/** Timestamps: `76.211513` is `seconds`, `76211513` is `count`, `12us` is `micros`. */
export type StampKind = 'seconds' | 'count' | 'micros';

/** Contents of a prefix. `…From`, `…To` and `text` are positions in the line's bytes. */
export interface LooseLine {
  kind: StampKind;
  nameFrom: number;
  nameTo: number;
  pidTo: number;
  cpu: number;
  flagsFrom: number;
  flagsTo: number;
  /** The timestamp's whole seconds (and `micros`), or the count if `kind` is `count`. */
  whole: number;
  micros: number;
  /** Start of the event's text. */
  text: number;
}

export function newLooseLine(): LooseLine {
  return {
    kind: 'seconds',
    nameFrom: 0,
    nameTo: 0,
    pidTo: 0,
    cpu: 0,
    flagsFrom: 0,
    flagsTo: 0,
    whole: 0,
    micros: 0,
    text: 0,
  };
}

/** Android prints names of processes, which can be longer than those of tasks. */
const LONGEST_NAME = 128;
const MOST_DIGITS = 9;
const MOST_STAMP_DIGITS = 15;
const LEAST_FLAGS = 3;
const MOST_FLAGS = 8;
/** Width of the name's column (`%16s-%-7d`). */
const NAME_COLUMNS = 16;
const LONGEST_COMM = 15;
const MICRO_DIGITS = 6;
const NANO_DIGITS = 9;

const TAB = 0x09;
const SPACE = 0x20;
const OPEN = 0x28;
const CLOSE = 0x29;
const MINUS = 0x2d;
const DOT = 0x2e;
const COLON = 0x3a;
const BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;

/** Parses the prefix of the line from `from` to `end`. Returns false if the line is not an event. */
export function parseLoose(bytes: Uint8Array, from: number, end: number, into: LooseLine): boolean {
  const first = skipBlanks(bytes, from, end);
  const last = Math.min(end, first + LONGEST_NAME);
  for (let dash = first + 1; dash < last; dash++) {
    if (bytes[dash] !== MINUS || !isDigit(bytes[dash + 1])) continue;
    if (!parseBehindName(bytes, dash + 1, end, into)) continue;
    into.nameFrom = first;
    into.nameTo = dash;
    return true;
  }
  return false;
}

function parseBehindName(bytes: Uint8Array, from: number, end: number, into: LooseLine): boolean {
  let pos = skipDigits(bytes, from, end);
  if (pos - from > MOST_DIGITS || pos >= end) return false;
  into.pidTo = pos;
  pos = skipBlanks(bytes, pos, end);
  if (bytes[pos] === OPEN) {
    while (pos < end && bytes[pos] !== CLOSE) pos++;
    pos = skipBlanks(bytes, pos + 1, end);
  }
  if (bytes[pos] !== BRACKET) return pos > into.pidTo && parseLatency(bytes, pos, end, into);
  const cpuFrom = ++pos;
  pos = skipDigits(bytes, pos, end);
  if (pos === cpuFrom || pos - cpuFrom > MOST_DIGITS || bytes[pos] !== CLOSING_BRACKET) return false;
  into.cpu = numberIn(bytes, cpuFrom, pos);
  pos = skipBlanks(bytes, pos + 1, end);
  into.flagsFrom = into.flagsTo = pos;
  if (!isDigit(bytes[pos])) {
    pos = takeFlags(bytes, pos, end, into);
    if (pos < 0) return false;
  }
  return parseStamp(bytes, pos, end, into);
}

/** Parses the CPU (`%3d`) and flags of latency-format, without a space between them, and the timestamp. */
function parseLatency(bytes: Uint8Array, from: number, end: number, into: LooseLine): boolean {
  let pos = skipDigits(bytes, from, end);
  if (pos === from || pos - from > MOST_DIGITS) return false;
  into.cpu = numberIn(bytes, from, pos);
  pos = takeFlags(bytes, pos, end, into);
  return pos >= 0 && parseStamp(bytes, pos, end, into);
}

function takeFlags(bytes: Uint8Array, from: number, end: number, into: LooseLine): number {
  let pos = from;
  while (pos < end && bytes[pos] > SPACE) pos++;
  if (pos - from < LEAST_FLAGS || pos - from > MOST_FLAGS) return -1;
  into.flagsFrom = from;
  into.flagsTo = pos;
  return skipBlanks(bytes, pos, end);
}

/** Parses `76.211513: `, `76.211513456: `, `76211513: ` or `12us+: `, where the `+` can be any character. */
function parseStamp(bytes: Uint8Array, from: number, end: number, into: LooseLine): boolean {
  let pos = skipDigits(bytes, from, end);
  if (pos === from || pos - from > MOST_STAMP_DIGITS) return false;
  into.whole = numberIn(bytes, from, pos);
  into.micros = 0;
  into.kind = 'count';
  if (bytes[pos] === DOT) {
    const fraction = pos + 1;
    pos = skipDigits(bytes, fraction, end);
    if (pos - fraction !== MICRO_DIGITS && pos - fraction !== NANO_DIGITS) return false;
    into.micros = numberIn(bytes, fraction, fraction + MICRO_DIGITS);
    into.kind = 'seconds';
  } else if (bytes[pos] === 0x75 && bytes[pos + 1] === 0x73) {
    into.micros = into.whole % 1e6;
    into.whole = Math.floor(into.whole / 1e6);
    into.kind = 'micros';
    pos += bytes[pos + 2] === COLON ? 2 : 3;
  }
  if (pos + 1 >= end || bytes[pos] !== COLON || (bytes[pos + 1] !== SPACE && bytes[pos + 1] !== TAB))
    return false;
  into.text = pos + 2;
  return true;
}

/** Maximum bytes that `writePrefix` writes. */
export const LONGEST_PREFIX = 96;

/** Writes the prefix in the form that `prefix.ts` parses. Returns the position after it. */
export function writePrefix(line: LooseLine, bytes: Uint8Array, into: Uint8Array, at: number): number {
  let pos = at;
  // Keep the end of a long name: names such as `com.android.systemui` differ there.
  const nameFrom = Math.max(line.nameFrom, line.nameTo - LONGEST_COMM);
  for (let i = line.nameTo - nameFrom; i < NAME_COLUMNS; i++) into[pos++] = SPACE;
  for (let i = nameFrom; i < line.pidTo; i++) into[pos++] = bytes[i];
  for (let i = line.pidTo - line.nameTo - 1; i <= 7; i++) into[pos++] = SPACE;
  if (into[pos - 1] !== SPACE) into[pos++] = SPACE;
  into[pos++] = BRACKET;
  pos = writeNumber(into, pos, line.cpu, 3);
  into[pos++] = CLOSING_BRACKET;
  into[pos++] = SPACE;
  for (let i = line.flagsFrom; i < line.flagsTo; i++) into[pos++] = bytes[i];
  into[pos++] = SPACE;
  pos = writeNumber(into, pos, line.whole, 1);
  if (line.kind !== 'count') {
    into[pos++] = DOT;
    pos = writeNumber(into, pos, line.micros, MICRO_DIGITS);
  }
  into[pos++] = COLON;
  into[pos++] = SPACE;
  return pos;
}

function writeNumber(into: Uint8Array, at: number, value: number, leastDigits: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  const width = Math.max(digits, leastDigits);
  let rest = value;
  for (let pos = at + width - 1; pos >= at; pos--) {
    into[pos] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return at + width;
}

function skipBlanks(bytes: Uint8Array, from: number, end: number): number {
  let pos = from;
  while (pos < end && (bytes[pos] === SPACE || bytes[pos] === TAB)) pos++;
  return pos;
}

function skipDigits(bytes: Uint8Array, from: number, end: number): number {
  let pos = from;
  while (pos < end && isDigit(bytes[pos])) pos++;
  return pos;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function numberIn(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let pos = from; pos < to; pos++) value = value * 10 + bytes[pos] - 0x30;
  return value;
}
