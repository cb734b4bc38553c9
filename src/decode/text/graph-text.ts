/**
 * Finds the parts of function_graph text that are not columns: the ends of calls, banners and comments. The kernel
 * prints a *banner* when a CPU switches tasks, and prints other events as comments.
 */
import { startsWith } from './search.ts';

/** Width of the column with task name and pid. In some lines, the column is one byte wider. */
export const PROC_COLUMNS = 14;
export const COMMENT_END = Buffer.from(' */\n');
const ARROW = Buffer.from(' => ');
/** Maximum bytes of a comment, long enough for an event whose text contains a path. */
const LONGEST_COMMENT = 8192;
const LINE_START = /^ *(?:\d+\.\d{6} \| +)?\d+\) |^ -----|^CPU:\d/;
const LINE_START_BYTES = 40;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const CLOSE = 0x29;

/**
 * Whether a closing parenthesis between `from` and `stop` is followed by `what` (`;` or `{`). `from`: position of the
 * call's opening parenthesis.
 */
export function endsAs(bytes: Uint8Array, from: number, stop: number, what: number): boolean {
  for (let pos = from + 1; pos < stop; pos++) {
    if (bytes[pos] !== CLOSE) continue;
    if (bytes[pos + 1] === what || (bytes[pos + 1] === SPACE && bytes[pos + 2] === what)) return true;
  }
  return false;
}

/** Returns the end of a banner line `   sh-124     =>    cat-341    `, or -1 if the line is not a banner. */
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
 * Returns the end of a comment's text, or -1 if the text contains no `COMMENT_END`. A task name in the comment can
 * contain `COMMENT_END`, so the text after it must also look like the start of a line. If no `COMMENT_END` satisfies
 * this condition, the comment ends at the first one.
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

/** Whether a line starts with `  12.345678 |  0) `, ` 0) `, the dashes of a banner, or `CPU:` and a digit. */
function looksLikeGraphLine(bytes: Uint8Array, from: number, end: number): boolean {
  const length = Math.min(end - from, LINE_START_BYTES);
  if (length <= 0) return true;
  return LINE_START.test(Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString('latin1'));
}
