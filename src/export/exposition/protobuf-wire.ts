/** Writes protobuf's wire format at `at`, and returns the position after it. The caller must have reserved space. */

/** Size in bytes of the longest varint written here: an integer below 2^63. */
export const MAX_VARINT_BYTES = 9;

/** Wire types. A field's tag is `number << 3 | type`, which takes one byte for field numbers up to 15. */
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;

/** Writes an `int32`, `uint32`, `uint64` or enum: a non-negative integer that a double represents exactly. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  // JavaScript's bit operations truncate numbers to 32 bits.
  while (value > 0x7fffffff) {
    bytes[at++] = (value % 128) | 128;
    value = Math.floor(value / 128);
  }
  let rest = value | 0;
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Writes an `sint32` or `sint64`: 0, -1, 1, -2, 2 … are encoded as 0, 1, 2, 3, 4 … */
export function writeZigzag(bytes: Uint8Array, at: number, value: number): number {
  return writeVarint(bytes, at, value < 0 ? -2 * value - 1 : 2 * value);
}

const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);

/** Writes a `double`: eight bytes in little-endian order, the byte order of all machines that the agent supports. */
export function writeDouble(bytes: Uint8Array, at: number, value: number): number {
  double[0] = value;
  for (let i = 0; i < 8; i++) bytes[at + i] = doubleBytes[i];
  return at + 8;
}

/** Maximum bytes of a text field. A UTF-16 code unit takes at most three bytes in UTF-8. */
export function textRoom(text: string): number {
  return 1 + MAX_VARINT_BYTES + text.length * 3;
}

/** Writes a `string` field. Unpaired surrogates, which UTF-8 can't represent, become U+FFFD. */
export function writeTextField(bytes: Buffer, at: number, field: number, text: string): number {
  bytes[at++] = (field << 3) | BYTES;
  at = writeVarint(bytes, at, Buffer.byteLength(text));
  return at + bytes.write(text, at, 'utf8');
}

/** Copies bytes in a loop. For fewer than about 100 bytes, a loop is faster than `subarray` and `set`. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  bytes: Uint8Array,
  at: number,
): number {
  for (let i = start; i < end; i++) bytes[at++] = from[i];
  return at;
}

/**
 * Writes the length of the message whose content begins at `start + width`. If the length does not need exactly `width`
 * bytes, moves the content. Returns the end of the message.
 */
export function closeMessage(bytes: Buffer, start: number, width: number, end: number): number {
  const length = end - start - width;
  const needed = length < 1 << 7 ? 1 : length < 1 << 14 ? 2 : length < 1 << 21 ? 3 : length < 1 << 28 ? 4 : 5;
  if (needed !== width) bytes.copyWithin(start + needed, start + width, end);
  writeVarint(bytes, start, length);
  return start + needed + length;
}
