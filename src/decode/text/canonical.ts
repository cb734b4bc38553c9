/**
 * Rewrites text of other kernels and tools, line by line, to the form that today's kernels print. A file has only one
 * kind of timestamp: a line with another kind is not an event, but part of a string that a program chose.
 */
import { LONGEST_PREFIX, newLooseLine, parseLoose, type StampKind, writePrefix } from './loose-prefix.ts';
import { isLikePrefix, newPrefix, parsePrefix } from './prefix.ts';
import { reportedText } from './report-lines.ts';
import { startsWith } from './search.ts';

export interface Canonical {
  /**
   * Rewrites all lines that end in `piece`. The result is valid until the next call. `isLast`: also rewrite the bytes
   * after the last newline. A line of more than 64 KiB becomes `?`, so that the decoder counts it as broken.
   */
  rewrite(piece: Uint8Array, isLast: boolean): Uint8Array;
  isUnchanged(): boolean;
  /** Whether the text is output of `trace-cmd report`. */
  isReport(): boolean;
  /** Whether the text's last line had no newline. */
  isOpen(): boolean;
  lines(): number;
  /** Number of bytes up to and including the last newline. */
  wholeBytes(): number;
}

const LONGEST_LINE = 1 << 16;
/** Minimum bytes to parse a line: its first newline can be part of the task name. */
const LEAST_FRONT = 64;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const HASH = 0x23;
const MINUS = 0x2d;
const COLON = 0x3a;
const EQUALS = 0x3d;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const LATENCY_HEADING = / latency trace v\d/;
const REPORT_HEADING = /^(?:cpus=\d+|version = \d+|CPU \d+ is empty|\[vmlinux\].*)$/;
const REPORT_LOSS = /^CPU:(\d+) \[(?:(\d+) )?EVENTS DROPPED\]$/;
/** First letters of the lines that `REPORT_HEADING` matches. */
const REPORT_LETTERS = Buffer.from('cvC[');
/** Matches a padded name, as in a report. Excludes osnoise events, whose text the kernel pads. */
const REPORT_EVENT = /^(?!\w+_noise:)\w+: {2,}(?=\S)/;
const REPORT_COLUMNS = 22;
/** Number of events to check for a report's padding. */
const MOST_CHECKED = 32;
const UNREADABLE = Buffer.from('?\n');

export function makeCanonical(): Canonical {
  const loose = newLooseLine();
  const strict = newPrefix();
  let out = new Uint8Array(1 << 16);
  let filled = 0;
  let rest = new Uint8Array(0);
  /** Whether the current position is inside a line of more than 64 KiB. */
  let isSkipping = false;
  let isFirstPiece = true;
  let isUnchanged = true;
  let isReport = false;
  let isOpen = false;
  let hasLatencyHeading = false;
  let endsInReturn = false;
  let kind: StampKind | undefined;
  let checked = 0;
  let lines = 0;
  let read = 0;
  let wholeBytes = 0;

  const room = (bytes: number): void => {
    if (filled + bytes <= out.length) return;
    const larger = new Uint8Array(Math.max(out.length * 2, filled + bytes));
    larger.set(out.subarray(0, filled));
    out = larger;
  };
  const put = (bytes: Uint8Array, from: number, to: number): void => {
    room(to - from);
    // Most copies are short: a loop is cheaper than a view.
    for (let i = from; i < to; i++) out[filled++] = bytes[i];
  };
  const putText = (text: string): void => {
    isUnchanged = false;
    const bytes = Buffer.from(text, 'latin1');
    put(bytes, 0, bytes.length);
  };
  const putNewline = (): void => {
    room(1);
    out[filled++] = NEWLINE;
  };

  const line = (bytes: Uint8Array, from: number, lineEnd: number): void => {
    let end = lineEnd;
    if (kind === undefined && end > from && bytes[end - 1] === RETURN) endsInReturn = true;
    if (endsInReturn && end > from && bytes[end - 1] === RETURN) {
      end--;
      isUnchanged = false;
    }
    if (bytes[from] === HASH) {
      if (kind === undefined) heading(textOf(bytes, from, end));
      put(bytes, from, end);
    } else if (!event(bytes, from, end)) other(bytes, from, end);
    putNewline();
  };

  const heading = (text: string): void => {
    if (LATENCY_HEADING.test(text)) hasLatencyHeading = true;
  };

  /** Returns false if the line is not an event. */
  const event = (bytes: Uint8Array, from: number, end: number): boolean => {
    if (isStrict(bytes, from, end)) {
      kind ??= strict.isPlainStamp ? 'count' : 'seconds';
      const text = parsePrefix(bytes, from, end, strict);
      if (!isReport) {
        put(bytes, from, end);
        return true;
      }
      put(bytes, from, text);
      eventText(bytes, text, end);
      return true;
    }
    if (!parseLoose(bytes, from, end, loose)) return false;
    // A line with another kind of timestamp is part of a string.
    if (kind === undefined ? loose.kind === 'micros' && !hasLatencyHeading : loose.kind !== kind)
      return false;
    kind ??= loose.kind;
    if (!isReport && checked++ < MOST_CHECKED) isReport = looksLikeReport(textOf(bytes, loose.text, end));
    isUnchanged = false;
    room(LONGEST_PREFIX);
    filled = writePrefix(loose, bytes, out, filled);
    eventText(bytes, loose.text, end);
    return true;
  };

  const isStrict = (bytes: Uint8Array, from: number, end: number): boolean =>
    bytes[from] === SPACE && isLikePrefix(bytes, from, end) && parsePrefix(bytes, from, end, strict) >= 0;

  const eventText = (bytes: Uint8Array, from: number, end: number): void => {
    let pos = from;
    while (isReport && pos < end && bytes[pos] > SPACE && bytes[pos] !== COLON) pos++;
    if (!isReport || bytes[pos] !== COLON) {
      put(bytes, from, end);
      return;
    }
    const name = textOf(bytes, from, pos);
    putText(reportedText(name, wholeText(bytes, pos + 1, end).trimStart()));
  };

  /** Gives headings, losses, stack traces and banners the kernel's indentation. */
  const other = (bytes: Uint8Array, from: number, end: number): void => {
    let first = from;
    while (first < end && (bytes[first] === SPACE || bytes[first] === TAB)) first++;
    if (bytes[first] === HASH) {
      isUnchanged = false;
      if (kind === undefined) heading(textOf(bytes, first, end));
      put(bytes, first, end);
      return;
    }
    const isLoss = startsWith(bytes, first, end, CPU);
    const isStack = bytes[first] === EQUALS && bytes[first + 1] === 0x3e;
    const isWord = kind === undefined && first < end;
    if (isWord && REPORT_LETTERS.includes(bytes[first]) && reportLine(textOf(bytes, first, end))) return;
    if (isReport && isLoss && reportLine(textOf(bytes, first, end))) return;
    // In function_graph: a banner, or the line ` (Overruns: …)` after the end of a call.
    const isDashes = isWord && bytes[first] === MINUS && bytes[first + 1] === MINUS;
    const isOverruns = isWord && startsWith(bytes, first, end, OVERRUNS);
    if (first > from && (isLoss || first === end)) {
      isUnchanged = false;
      put(bytes, first, end);
    } else if ((isStack || isDashes || isOverruns) && first !== from + 1) {
      putText(' ');
      put(bytes, first, end);
    } else put(bytes, from, end);
  };

  const reportLine = (text: string): boolean => {
    if (REPORT_HEADING.test(text)) {
      isReport ||= text.startsWith('cpus=');
      putText(`# ${text}`);
      return true;
    }
    const loss = REPORT_LOSS.exec(text);
    if (loss === null) return false;
    putText(`CPU:${loss[1]} [LOST ${loss[2] === undefined ? '' : `${loss[2]} `}EVENTS]`);
    return true;
  };

  const takeLine = (bytes: Uint8Array, from: number, start: number, end: number): void => {
    if (isSkipping) {
      isSkipping = false;
      put(UNREADABLE, 0, UNREADABLE.length);
    } else line(bytes, from, end);
    lines++;
    wholeBytes = start + end + 1;
  };

  return {
    rewrite: (piece, isLast) => {
      filled = 0;
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      const start = read - rest.length;
      read += piece.length;
      let from = 0;
      if (isFirstPiece && startsWith(bytes, 0, bytes.length, BYTE_ORDER_MARK)) {
        from = BYTE_ORDER_MARK.length;
        isUnchanged = false;
      }
      isFirstPiece = false;
      while (from < bytes.length && (isLast || bytes.length - from >= LEAST_FRONT)) {
        // A newline in a task name does not end the line.
        const text = isStrict(bytes, from, bytes.length)
          ? parsePrefix(bytes, from, bytes.length, strict)
          : from;
        const end = bytes.indexOf(NEWLINE, text);
        if (end < 0) break;
        takeLine(bytes, from, start, end);
        from = end + 1;
      }
      const remaining = bytes.length - from;
      if (remaining > LONGEST_LINE) {
        // Keep memory limited: drop a line that is too long, such as a hole in the file.
        isSkipping = true;
        isUnchanged = false;
        rest = new Uint8Array(0);
      } else if (isLast && remaining > 0 && !isSkipping) {
        isUnchanged = false;
        isOpen = true;
        line(bytes, from, bytes.length);
        rest = new Uint8Array(0);
      } else rest = Uint8Array.from(bytes.subarray(from));
      return out.subarray(0, filled);
    },
    isUnchanged: () => isUnchanged,
    isReport: () => isReport,
    isOpen: () => isOpen,
    lines: () => lines,
    wholeBytes: () => wholeBytes,
  };
}

const CPU = Buffer.from('CPU:');
const OVERRUNS = Buffer.from('(Overruns: ');

function looksLikeReport(text: string): boolean {
  return (REPORT_EVENT.exec(text)?.[0].length ?? 0) >= REPORT_COLUMNS;
}

function wholeText(bytes: Uint8Array, from: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString('latin1');
}

function textOf(bytes: Uint8Array, from: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.min(end - from, 256)).toString('latin1');
}
