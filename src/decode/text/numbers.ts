/**
 * Parses numbers into the two 32-bit words that a record stores, exactly for all 64 bits. Parsers return the position
 * after the digits.
 */
const TWO_POW_32 = 4294967296;
/** A number with at most 9 decimal digits fits into 31 bits. */
const SHORT_DIGITS = 9;
const MAX_DECIMAL_DIGITS = 20;
const MAX_HEX_DIGITS = 16;
const ZERO = 0x30;
const MINUS = 0x2d;

/** The last parsed value, negative values in two's complement. */
export const parsed = { low: 0, high: 0 };

/** Parses digits with an optional `-`. Returns -1 if there are no digits or too many. */
export function parseDecimal(bytes: Uint8Array, from: number, end: number): number {
  let pos = from;
  const negative = pos < end && bytes[pos] === MINUS;
  if (negative) pos++;
  const first = pos;
  const shortEnd = pos + SHORT_DIGITS < end ? pos + SHORT_DIGITS : end;
  let value = 0;
  for (; pos < shortEnd; pos++) {
    const digit = bytes[pos] - ZERO;
    // Not `digit < 0 || digit > 9`: after the end of the array, `digit` is NaN.
    if (!(digit >= 0 && digit <= 9)) break;
    value = value * 10 + digit;
  }
  if (pos === first) return -1;
  parsed.low = value;
  parsed.high = 0;
  if (pos === first + SHORT_DIGITS) pos = moreDigits(bytes, pos, first + MAX_DECIMAL_DIGITS, end);
  if (negative && pos > 0) negate();
  return pos;
}

function moreDigits(bytes: Uint8Array, from: number, most: number, end: number): number {
  let low = parsed.low;
  let high = 0;
  let pos = from;
  for (; pos < end; pos++) {
    const digit = bytes[pos] - ZERO;
    if (!(digit >= 0 && digit <= 9)) break;
    if (pos === most) return -1;
    const product = low * 10 + digit;
    const carry = Math.floor(product / TWO_POW_32);
    low = product - carry * TWO_POW_32;
    high = high * 10 + carry;
  }
  if (high >= TWO_POW_32) return -1;
  parsed.low = low | 0;
  parsed.high = high | 0;
  return pos;
}

/** Parses hexadecimal digits with an optional `0x`. Returns -1 if there are no digits or too many. */
export function parseHex(bytes: Uint8Array, from: number, end: number): number {
  let pos = from;
  if (pos + 1 < end && bytes[pos] === ZERO && (bytes[pos + 1] | 0x20) === 0x78) pos += 2;
  const first = pos;
  let low = 0;
  let high = 0;
  for (; pos < end; pos++) {
    const digit = hexDigit(bytes[pos]);
    if (digit < 0) break;
    if (pos === first + MAX_HEX_DIGITS) return -1;
    high = (high << 4) | (low >>> 28);
    low = (low << 4) | digit;
  }
  if (pos === first) return -1;
  parsed.low = low;
  parsed.high = high;
  return pos;
}

/** Value of a hexadecimal digit, or -1. */
export function hexDigit(byte: number): number {
  const digit = byte - ZERO;
  if (digit >= 0 && digit <= 9) return digit;
  const letter = (byte | 0x20) - 0x61;
  return letter >= 0 && letter <= 5 ? letter + 10 : -1;
}

function negate(): void {
  const low = (~parsed.low + 1) | 0;
  parsed.high = low === 0 ? (~parsed.high + 1) | 0 : ~parsed.high;
  parsed.low = low;
}

/** Last parsed value as a signed number; exact to 2^53. */
export function parsedNumber(): number {
  return parsed.high * TWO_POW_32 + (parsed.low >>> 0);
}
