/**
 * Parses lines of the tracer blk into records of the format in `blk-format.ts`.
 * Source: kernel/trace/blktrace.c, blk_log_action() and the functions of what2act[].
 *
 *     8,16   Q  WS 0 + 8 [dd]           8,16   C  WS 0 + 8 [0]        8,16   C  FN 0 [0]
 *     8,16   P   N [dd]                 8,16   U   N [dd] 1           8,16   X   W 0 / 8 [dd]
 *     8,16   A   W 8 + 8 <- (8,17) 0    8,16   D   N 36 (12 00 ..) [dd]   (bytes, and a command in hex)
 *     8,16   m   N a message            8,16 a1,0  Q  WS …            (with the id or name of a cgroup)
 */

import { BLOCK_FIELDS } from './blk-format.ts';
import { looksLikeLine } from './line-start.ts';
import { parseDecimal, parsed, parsedNumber } from './numbers.ts';
import { type RecordPlace, type Scratch, writeNumber } from './scratch.ts';
import { lineEnd } from './search.ts';

const SECTOR_BYTES = 512;
const MINOR_BITS = 20;
const LONGEST_COMM = 15;
/** The kernel stores errors as unsigned 16-bit numbers, so -5 is printed as 65531. */
const TWO_POW_16 = 65536;
const MAX_ERRNO = 4095;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const OPEN = 0x28;
const PLUS = 0x2b;
const COMMA = 0x2c;
const SLASH = 0x2f;
const BRACKET = 0x5b;
const CLOSING = 0x5d;

/** Parses the text after a line's prefix. Returns where the next line begins, or -1 if the text is not from blk. */
export type BlockReader = (bytes: Uint8Array, from: number, end: number) => number;

export function makeBlockReader(scratch: Scratch, place: RecordPlace): BlockReader {
  const { base } = place;
  const out = scratch.bytes;
  const { dev, error, sector, nr_bytes, action, rwbs } = BLOCK_FIELDS;

  const put = (field: { offset: number; size: number }, value: number) =>
    writeNumber(out, base + field.offset, field.size, value);
  const putSector = () => {
    scratch.words[(base + sector.offset) >> 2] = parsed.low;
    scratch.words[((base + sector.offset) >> 2) + 1] = parsed.high;
  };

  /** Copies a word, which ends at a space or newline. Returns the position after it. */
  const putWord = (
    field: { offset: number; size: number },
    bytes: Uint8Array,
    from: number,
    end: number,
  ): number => {
    let pos = from;
    let at = base + field.offset;
    const last = at + field.size - 1;
    for (; pos < end && bytes[pos] > SPACE; pos++) if (at < last) out[at++] = bytes[pos];
    out[at] = 0;
    return pos;
  };

  return (bytes, from, end) => {
    let pos = parseDecimal(bytes, skipSpaces(bytes, from, end), end);
    if (pos < 0 || bytes[pos] !== COMMA) return -1;
    const major = parsedNumber();
    pos = parseDecimal(bytes, pos + 1, end);
    if (pos < 0 || bytes[pos] !== SPACE) return -1;
    put(dev, major * 2 ** MINOR_BITS + parsedNumber());
    pos = skipSpaces(bytes, pos, end);
    // Skip the ID or name of a cgroup. An action contains only letters and `_`.
    if (!isWordOfLetters(bytes, pos, end)) pos = skipSpaces(bytes, wordEnd(bytes, pos, end), end);
    const what = bytes[pos];
    if (!isWordOfLetters(bytes, pos, end)) return -1;
    pos = skipSpaces(bytes, putWord(action, bytes, pos, end), end);
    pos = putWord(rwbs, bytes, pos, end);
    if (bytes[pos] !== SPACE) return -1;
    put(sector, 0);
    put(nr_bytes, 0);
    put(error, 0);
    return rest(bytes, pos + 1, end, what);
  };

  function rest(bytes: Uint8Array, from: number, end: number, what: number): number {
    // The lines of R (requeue) and C (complete), or their long names, end with an error instead of a task name.
    const hasError = what === 0x52 || what === 0x43 || what === 0x72 || what === 0x63;
    if (what === 0x6d) return lineEnd(bytes, from, end);
    let pos = from;
    if (bytes[pos] !== BRACKET && bytes[pos] !== OPEN) {
      pos = parseDecimal(bytes, pos, end);
      if (pos < 0 || bytes[pos] !== SPACE) return -1;
      const follows = bytes[pos + 1];
      if (follows === PLUS) {
        putSector();
        pos = parseDecimal(bytes, pos + 3, end);
        if (pos < 0) return -1;
        put(nr_bytes, parsedNumber() * SECTOR_BYTES);
      } else if (follows === SLASH || hasError) putSector();
      else put(nr_bytes, parsedNumber());
      pos++;
    }
    if (!hasError) return nameEnd(bytes, pos, end);
    while (pos < end && bytes[pos] !== BRACKET && bytes[pos] !== NEWLINE) pos++;
    const behind = parseDecimal(bytes, pos + 1, end);
    if (behind < 0 || bytes[behind] !== CLOSING || bytes[behind + 1] !== NEWLINE) return -1;
    const value = parsedNumber();
    put(error, value > TWO_POW_16 - MAX_ERRNO - 1 && value < TWO_POW_16 ? value - TWO_POW_16 : value);
    return behind + 2;
  }
}

/** Returns where the next line begins. The line can end with `[TASK NAME]` and a number; the name can be any bytes. */
function nameEnd(bytes: Uint8Array, from: number, end: number): number {
  let first = -1;
  let pos = from;
  while (pos < end && bytes[pos] !== BRACKET && bytes[pos] !== NEWLINE) pos++;
  if (bytes[pos] === NEWLINE && pos < end) return pos + 1;
  const last = Math.min(end, pos + 1 + LONGEST_COMM + 1);
  for (let at = pos + 1; at < last; at++) {
    if (bytes[at] !== CLOSING) continue;
    let behind = at + 1;
    if (bytes[behind] === SPACE) behind = parseDecimal(bytes, behind + 1, end);
    if (behind < 0 || behind >= end || bytes[behind] !== NEWLINE) continue;
    if (looksLikeLine(bytes, behind + 1, end)) return behind + 1;
    if (first < 0) first = behind + 1;
  }
  return first;
}

function skipSpaces(bytes: Uint8Array, from: number, end: number): number {
  let pos = from;
  while (pos < end && bytes[pos] === SPACE) pos++;
  return pos;
}

function wordEnd(bytes: Uint8Array, from: number, end: number): number {
  let pos = from;
  while (pos < end && bytes[pos] > SPACE) pos++;
  return pos;
}

function isWordOfLetters(bytes: Uint8Array, from: number, end: number): boolean {
  let pos = from;
  for (; pos < end && bytes[pos] > SPACE; pos++) {
    const letter = bytes[pos] | 0x20;
    // The option verbose prints long names of actions, such as `unplug_io`.
    if ((letter < 0x61 || letter > 0x7a) && bytes[pos] !== 0x5f) return false;
  }
  return pos > from;
}
