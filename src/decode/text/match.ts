/**
 * Runs a program over a line and writes the record's fields to the scratch buffer. A string can contain any bytes; the
 * matcher ends it at the first position after which all later steps match.
 */

import type { FunctionInterner } from './function-interner.ts';
import { looksLikeLine } from './line-start.ts';
import { NAME_BYTES } from './name-bytes.ts';
import { parseDecimal, parsed, parsedNumber, parseHex } from './numbers.ts';
import type { NameTable, Program } from './program.ts';
import * as steps from './program.ts';
import { type RecordPlace, type Scratch, writeInteger, writeNumber, writeString } from './scratch.ts';
import { lineEnd, startsWith } from './search.ts';

/** Maximum number of string ends to try per line. A line that needs more tries counts as unreadable. */
const MOST_TRIES = 20_000;
const SPACE = 0x20;
const NEWLINE = 0x0a;
const PLUS = 0x2b;
const BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;

export interface Matcher {
  /**
   * Parses the rest of a line from `from` on. Returns where the next line begins, or -1 if the line does not match; the
   * record's contents are then undefined.
   */
  match(program: Program, place: RecordPlace, bytes: Uint8Array, from: number, end: number): number;
  /** Length of the last matched record in bytes, including strings. */
  recordLength(): number;
}

interface State {
  scratch: Scratch;
  functions: FunctionInterner;
  stringStarts: Int32Array;
  stringEnds: Int32Array;
  /** Values of the parts of composed fields (see program.ts). */
  parts: Float64Array;
  tries: number;
  /** Whether text that looks like a line must follow a newline that could be inside a string. */
  strict: boolean;
}

export function makeMatcher(scratch: Scratch, functions: FunctionInterner): Matcher {
  const state: State = {
    scratch,
    functions,
    stringStarts: new Int32Array(16),
    stringEnds: new Int32Array(16),
    parts: new Float64Array(64),
    tries: 0,
    strict: false,
  };
  let length = 0;
  return {
    match: (program, place, bytes, from, end) => {
      state.tries = 0;
      state.strict = true;
      let behind = walk(state, program, bytes, 0, from, end, 0);
      if (behind < 0) {
        state.tries = 0;
        state.strict = false;
        behind = walk(state, program, bytes, 0, from, end, 0);
        if (behind < 0) return -1;
      }
      length = place.fixedLength;
      if (program.composed.length + program.strings.length > 0) length = finish(state, program, place, bytes);
      return behind;
    },
    recordLength: () => length,
  };
}

/**
 * Runs the steps from `firstStep` on. Returns where the next line begins, or -1. `horizon`: a newline before this
 * position may be inside a string.
 */
function walk(
  state: State,
  program: Program,
  bytes: Uint8Array,
  firstStep: number,
  from: number,
  end: number,
  horizon: number,
): number {
  const { code } = program;
  let pos = from;
  for (let pc = firstStep; ; pc += steps.STEP) {
    const a = code[pc + 1];
    switch (code[pc]) {
      case steps.LITERAL: {
        const { literals } = program;
        const stop = pos + code[pc + 2];
        if (stop > end) return -1;
        for (let at = a; pos < stop; pos++, at++) if (bytes[pos] !== literals[at]) return -1;
        break;
      }
      case steps.DECIMAL:
      case steps.HEX:
      case steps.OCTAL: {
        const columns = code[pc + 3];
        const start = pos;
        if (columns > 0) while (pos < end && bytes[pos] === SPACE) pos++;
        const behind =
          code[pc] === steps.DECIMAL ? parseDecimal(bytes, pos, end) : parseOther(code[pc], bytes, pos, end);
        if (behind < 0) return -1;
        pos = behind;
        if (columns < 0) pos = paddingEnd(bytes, pos, start - columns, end);
        if (a !== steps.STORE_NOTHING) store(state, a, code[pc + 2]);
        break;
      }
      case steps.CHAR:
        if (pos >= end) return -1;
        parsed.low = bytes[pos++];
        parsed.high = 0;
        if (a !== steps.STORE_NOTHING) store(state, a, code[pc + 2]);
        break;
      case steps.NAMES: {
        const columns = code[pc + 3];
        const start = pos;
        if (columns > 0) while (pos < end && bytes[pos] === SPACE) pos++;
        pos = oneName(state.parts, program.tables[a], bytes, pos, end, code[pc + 2]);
        if (pos < 0) return -1;
        if (columns < 0) pos = paddingEnd(bytes, pos, start - columns, end);
        break;
      }
      case steps.FLAGS: {
        pos = allFlags(state.parts, program.tables[a], bytes, pos, end, code[pc + 2]);
        if (pos < 0) return -1;
        break;
      }
      case steps.FUNCTION: {
        const start = pos;
        while (pos < end && NAME_BYTES[bytes[pos]] === 1) pos++;
        if (pos === start) return -1;
        if (a !== steps.STORE_NOTHING) {
          parsed.low = state.functions.intern(bytes, start, pos);
          parsed.high = 0;
          store(state, a, code[pc + 2]);
        }
        pos = behindSymbol(program, pc, bytes, pos, end);
        break;
      }
      case steps.STRING:
        return findEnd(state, program, bytes, pc, pos, end, horizon);
      case steps.TAIL:
        return lineEnd(bytes, pos, end);
      default:
        if (pos >= end || bytes[pos] !== NEWLINE) return -1;
        if (state.strict && pos < horizon && !looksLikeLine(bytes, pos + 1, end)) return -1;
        return pos + 1;
    }
  }
}

/** Finds the first end of a string after which all later steps match. Returns where the next line begins, or -1. */
function findEnd(
  state: State,
  program: Program,
  bytes: Uint8Array,
  pc: number,
  from: number,
  end: number,
  horizon: number,
): number {
  const { code, literals } = program;
  const isText = (code[pc + 2] & 1) !== 0;
  const last = Math.min(from + code[pc + 1], end);
  const further = isText && last > horizon ? last : horizon;
  const next = pc + steps.STEP;
  const nextStep = code[next];
  const sought =
    nextStep === steps.LITERAL ? literals[code[next + 1]] : nextStep === steps.END ? NEWLINE : -1;
  for (let pos = from; pos <= last; pos++) {
    // Skip positions at which the string cannot end.
    if (sought >= 0) {
      while (pos < last && bytes[pos] !== sought && bytes[pos] !== NEWLINE) pos++;
    }
    if (++state.tries > MOST_TRIES) return -1;
    const behind = walk(state, program, bytes, next, pos, end, further);
    if (behind >= 0) {
      const string = code[pc + 3];
      if (string >= 0) {
        // Strip the padding of a short string.
        const columns = code[pc + 2] >> 1;
        let start = from;
        if (pos - from === columns) while (start < pos && bytes[start] === SPACE) start++;
        state.stringStarts[string] = start;
        state.stringEnds[string] = pos;
      }
      return behind;
    }
    if (bytes[pos] !== NEWLINE) continue;
    if (!isText || (!program.reachesOverLines && looksLikeLine(bytes, pos + 1, end))) return -1;
  }
  return -1;
}

/** Skips `+0x12/0x34` and ` [module]` after a function's name, if present. Returns the position after them. */
function behindSymbol(program: Program, pc: number, bytes: Uint8Array, from: number, end: number): number {
  let pos = from;
  if (bytes[pos] === PLUS)
    while (pos < end && bytes[pos] > SPACE && !isNext(program, pc, bytes, pos, end)) pos++;
  if (bytes[pos] !== SPACE || bytes[pos + 1] !== BRACKET) return pos;
  // ` [` can also begin the next literal. If that literal is a single space, the `[` begins a module's name.
  const { code, literals } = program;
  const next = pc + steps.STEP;
  const isLiteral = code[next] === steps.LITERAL && literals[code[next + 1] + 1] === BRACKET;
  if (isLiteral && code[next + 2] > 1 && isNext(program, pc, bytes, pos, end)) return pos;
  while (pos < end && bytes[pos] !== NEWLINE) if (bytes[pos++] === CLOSING_BRACKET) break;
  return pos;
}

function isNext(program: Program, pc: number, bytes: Uint8Array, pos: number, end: number): boolean {
  const { code, literals } = program;
  const next = pc + steps.STEP;
  if (code[next] !== steps.LITERAL) return false;
  const length = code[next + 2];
  if (pos + length > end) return false;
  for (let i = 0; i < length; i++) if (bytes[pos + i] !== literals[code[next + 1] + i]) return false;
  return true;
}

function oneName(
  parts: Float64Array,
  table: NameTable,
  bytes: Uint8Array,
  from: number,
  end: number,
  part: number,
): number {
  const { names, values } = table;
  for (let i = 0; i < names.length; i++) {
    if (!startsWith(bytes, from, end, names[i])) continue;
    if (part >= 0) parts[part] = values[i];
    return from + names[i].length;
  }
  return bareHex(parts, bytes, from, end, part);
}

function allFlags(
  parts: Float64Array,
  table: NameTable,
  bytes: Uint8Array,
  from: number,
  end: number,
  part: number,
): number {
  const { names, values, delimiter, none } = table;
  let pos = from;
  let value = 0;
  for (let count = 0; ; count++) {
    if (count > 0) {
      if (!startsWith(bytes, pos, end, delimiter)) break;
      pos += delimiter.length;
    }
    let i = 0;
    while (i < names.length && !startsWith(bytes, pos, end, names[i])) i++;
    if (i < names.length) {
      value += values[i];
      pos += names[i].length;
      continue;
    }
    // After the names, the kernel prints the bits without a name as one hex number.
    const behind = bareHex(parts, bytes, pos, end, -1);
    if (behind >= 0) {
      value += parsedNumber();
      pos = behind;
    } else if (count === 0) {
      if (!startsWith(bytes, pos, end, none)) return -1;
      pos += none.length;
    } else {
      pos -= delimiter.length;
    }
    break;
  }
  if (part >= 0) parts[part] = value;
  return pos;
}

function bareHex(parts: Float64Array, bytes: Uint8Array, from: number, end: number, part: number): number {
  if (bytes[from] !== 0x30 || bytes[from + 1] !== 0x78) return -1;
  const behind = parseHex(bytes, from, end);
  if (behind >= 0 && part >= 0) parts[part] = parsedNumber();
  return behind;
}

function store({ scratch, parts }: State, how: number, where: number): void {
  const { words, bytes } = scratch;
  const { low, high } = parsed;
  if (how === steps.STORE_WORD) {
    words[where] = low;
  } else if (how === steps.STORE_TWO_WORDS) {
    words[where] = low;
    words[where + 1] = high;
  } else if (how === steps.STORE_PART) {
    parts[where] = parsedNumber();
  } else if (how === steps.STORE_BYTE) {
    bytes[where] = low;
  } else if (how === steps.STORE_HALF) {
    bytes[where] = low;
    bytes[where + 1] = low >>> 8;
  } else {
    writeInteger(bytes, where, how === steps.STORE_8_BYTES ? 8 : 4, low, high);
  }
}

/** Writes the composed integers and the strings. Returns the record's length. */
function finish(state: State, program: Program, place: RecordPlace, bytes: Uint8Array): number {
  const { scratch, parts, stringStarts, stringEnds } = state;
  const { composed, scales, strings } = program;
  for (let i = 0; i < composed.length; i++) {
    const { at, size, firstPart } = composed[i];
    let value = 0;
    for (let part = firstPart; part < firstPart + composed[i].parts; part++)
      value += parts[part] * scales[part];
    writeNumber(scratch.bytes, at, size, value);
  }
  let next = place.base + place.fixedLength;
  for (let i = 0; i < strings.length; i++) {
    next = writeString(scratch, place, strings[i], next, bytes, stringStarts[i], stringEnds[i]);
  }
  return next - place.base;
}

/** Returns the position after the padding, which ends at `columnEnd`. */
function paddingEnd(bytes: Uint8Array, from: number, columnEnd: number, end: number): number {
  let pos = from;
  while (pos < columnEnd && pos < end && bytes[pos] === SPACE) pos++;
  return pos;
}

function parseOther(op: number, bytes: Uint8Array, from: number, end: number): number {
  return op === steps.HEX ? parseHex(bytes, from, end) : parseOctal(bytes, from, end);
}

function parseOctal(bytes: Uint8Array, from: number, end: number): number {
  let value = 0;
  let pos = from;
  for (; pos < end && bytes[pos] >= 0x30 && bytes[pos] <= 0x37; pos++) value = value * 8 + bytes[pos] - 0x30;
  if (pos === from || value > Number.MAX_SAFE_INTEGER) return -1;
  parsed.low = value | 0;
  parsed.high = Math.floor(value / 2 ** 32);
  return pos;
}
