import type { MarkedSpan } from '../../model/intervals.ts';

/**
 * Parses markers: `traceparent=VALUE begin` and `traceparent=VALUE end`. The W3C recommendation "Trace Context" defines
 * VALUE. Other texts are rejected without allocating memory.
 */

const KEY = Buffer.from('traceparent=');
const BEGIN = Buffer.from('begin');
const END = Buffer.from('end');
/** Bytes of a value `VERSION-TRACEID-SPANID-FLAGS`. The next four constants are byte offsets in it. */
const VALUE_LENGTH = 55;
const TRACE_ID_AT = 3;
const SPAN_ID_AT = 36;
const FLAGS_AT = 53;
const DASHES = [2, 35, 52];
/** Later versions of `traceparent` may append fields. */
const LONGEST_VALUE = 512;

const DASH = 0x2d;
const SPACE = 0x20;
const ZERO = 0x30;

/** `other`: the text does not start with `traceparent=`. `malformed`: it does, but is not a valid marker. */
export type MarkerKind = 'other' | 'malformed' | 'begin' | 'end';

export const VALUE_AT = KEY.length;

/** Returns the kind of the marker in bytes `from` to `to` (exclusive). */
export function markerKind(bytes: Uint8Array, from: number, to: number): MarkerKind {
  if (to - from <= KEY.length) return 'other';
  for (let i = 0; i < KEY.length; i++) if (bytes[from + i] !== KEY[i]) return 'other';
  const value = from + KEY.length;
  let stop = value;
  while (stop < to && bytes[stop] > SPACE) stop++;
  if (!isTraceparent(bytes, value, stop)) return 'malformed';
  if (bytes[stop] !== SPACE) return 'malformed';
  const word = stop + 1;
  let end = word;
  while (end < to && bytes[end] > SPACE) end++;
  for (let i = end; i < to; i++) if (bytes[i] > SPACE) return 'malformed';
  if (isWord(bytes, word, end, BEGIN)) return 'begin';
  return isWord(bytes, word, end, END) ? 'end' : 'malformed';
}

/** Whether bytes `from` to `to` (exclusive) are a valid value. */
export function isTraceparent(bytes: Uint8Array, from: number, to: number): boolean {
  const length = to - from;
  if (length < VALUE_LENGTH || length > LONGEST_VALUE) return false;
  for (const dash of DASHES) if (bytes[from + dash] !== DASH) return false;
  for (let i = 0; i < VALUE_LENGTH; i++) {
    if (i !== 2 && i !== 35 && i !== 52 && !isHex(bytes[from + i])) return false;
  }
  const isFirst = bytes[from] === ZERO && bytes[from + 1] === ZERO;
  if (bytes[from] === 0x66 && bytes[from + 1] === 0x66) return false;
  if (length > VALUE_LENGTH && (isFirst || bytes[from + VALUE_LENGTH] !== DASH)) return false;
  return (
    !isZero(bytes, from + TRACE_ID_AT, from + SPAN_ID_AT - 1) &&
    !isZero(bytes, from + SPAN_ID_AT, from + FLAGS_AT - 1)
  );
}

/** `isTraceparent` must have accepted the value at byte offset `from`. */
export function readTraceparent(bytes: Uint8Array, from: number): MarkedSpan {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, VALUE_LENGTH).toString('latin1');
  return {
    traceId: text.slice(TRACE_ID_AT, SPAN_ID_AT - 1),
    spanId: text.slice(SPAN_ID_AT, FLAGS_AT - 1),
    isSampled: (Number.parseInt(text.slice(FLAGS_AT), 16) & 1) === 1,
  };
}

/** The recommendation forbids upper-case digits. */
function isHex(byte: number): boolean {
  return (byte >= ZERO && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66);
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== ZERO) return false;
  return true;
}

function isWord(bytes: Uint8Array, from: number, to: number, word: Uint8Array): boolean {
  if (to - from !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[from + i] !== word[i]) return false;
  return true;
}
