/**
 * Finds the ends of calls, banners and comments in function_graph text. The kernel prints a *banner* when a CPU
 * switches tasks, and prints other events as comments.
 */
import { startsWith } from './search.ts';

/** Width of the column with task name and pid. Some lines have one byte more. */
export const PROC_COLUMNS = 14;
export const COMMENT_END = Buffer.from(' */\n');
const ARROW = Buffer.from(' => ');
/** Maximum bytes of a comment. The text of an event can contain a path. */
const LONGEST_COMMENT = 8192;
const LINE_START = /^ *(?:\d+\.\d{6} \| +)?\d+\) |^ -----|^CPU:\d/;
const LINE_START_BYTES = 40;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const CLOSE = 0x29;

/** Whether `)` is followed by `what` (`;` or `{`) between `from` and `stop`. */
export function endsAs(bytes: Uint8Array, from: number, stop: number, what: number): boolean {
  for (let pos = from + 1; pos < stop; pos++) {
    if (bytes[pos] !== CLOSE) continue;
    if (bytes[pos + 1] === what || (bytes[pos + 1] === SPACE && bytes[pos + 2] === what)) return true;
  }
  return false;
}

/** Returns the end of a banner line `   sh-124     =>    cat-341    `, or -1. */
export function bannerEnd(bytes: Uint8Array, from: number, end: number): number {
  for (let width = PROC_COLUMNS; width <= PROC_COLUMNS + 1; width++) {
    if (!startsWith(bytes, from + width, end, ARROW)) continue;
    const second = from + width + ARROW.length;
    for (let other = PROC_COLUMNS; other <= PROC_COLUMNS + 1; other++) {
      if (bytes[second + other] === NEWLINE && second + other < end) return second + other + 1;
    }
  }
  return -1;
}

/**
 * Returns the end of a comment's text, or -1. The text can itself contain `COMMENT_END` (in a task name), so an end
 * before the start of a new line is preferred to the first end.
 */
export function commentEnd(bytes: Uint8Array, from: number, end: number): number {
  let first = -1;
  for (let pos = from; pos < end && pos - from < LONGEST_COMMENT; pos++) {
    if (bytes[pos] !== SPACE || !startsWith(bytes, pos, end, COMMENT_END)) continue;
    if (looksLikeGraphLine(bytes, pos + COMMENT_END.length, end)) return pos;
    if (first < 0) first = pos;
  }
  return first;
}

function looksLikeGraphLine(bytes: Uint8Array, from: number, end: number): boolean {
  const length = Math.min(end - from, LINE_START_BYTES);
  if (length <= 0) return true;
  return LINE_START.test(Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString('latin1'));
}
