/**
 * Makes *readers*: functions that read one field of a record. Readers run for every event, so they allocate nothing. If
 * a field lies outside the record, its reader returns 0 or an empty range.
 */
import type { EventFormat, FieldFormat } from '../model/format.ts';
import type { BytesReader, EventRecord, IntReader } from '../model/record.ts';
import { TWO_POW_32 } from '../model/time.ts';

/** Minimum length of a record in bytes. */
const ALWAYS = 4;

/**
 * Makes a reader for an integer, pointer or bool; 64-bit values are exact up to 2^53. Throws an `Error` if the field
 * does not exist, is an array, or does not have 1, 2, 4 or 8 bytes.
 */
export function intReader(format: EventFormat, fieldName: string): IntReader {
  const field = integerField(format, fieldName);
  const { offset: at, size, signed } = field;
  const end = at + size;
  if (size === 8) return signed ? signed64(at) : unsigned64(at);
  // Compilers align fields, but a format file can contain any offset.
  if ((at & 3) + size > 4) return acrossWords(field);
  if (size === 4) {
    return signed
      ? (record) => (record.length < end ? 0 : record.words[(record.offset + at) >> 2])
      : (record) => (record.length < end ? 0 : record.words[(record.offset + at) >> 2] >>> 0);
  }
  // Shift the field to the top of the word, then down: this removes the other bits and extends the sign.
  const up = 32 - 8 * ((at & 3) + size);
  const down = 32 - 8 * size;
  if (end <= ALWAYS && !signed) return (record) => (record.words[record.offset >> 2] << up) >>> down;
  return signed
    ? (record) => (record.length < end ? 0 : (record.words[(record.offset + at) >> 2] << up) >> down)
    : (record) => (record.length < end ? 0 : (record.words[(record.offset + at) >> 2] << up) >>> down);
}

/**
 * Returns the offset of an integer's low 32 bits, in words from the start of the payload. A fast path reads this word
 * without a bounds check, because the decoder skips records without the fields that a handler declares. Throws an
 * `Error` if the field does not exist, is an array, or does not consist of aligned words.
 */
export function wordOffset(format: EventFormat, fieldName: string): number {
  const { offset, size } = integerField(format, fieldName);
  if (size >= 4 && (offset & 3) === 0) return offset >> 2;
  throw new Error(
    `${format.system}:${format.name}: field ${fieldName} (offset ${offset}, size ${size}) is not made of whole words`,
  );
}

/**
 * Makes a reader that locates an array or string field. Strings (`char`) end before the first NUL; other arrays, such
 * as `unsigned char`, do not. Throws an `Error` for an unknown field.
 */
export function bytesReader(format: EventFormat, fieldName: string): BytesReader {
  const field = fieldOf(format, fieldName);
  const isText = /\bchar\b/.test(field.type) && !/\bunsigned\b/.test(field.type);
  const bounds = field.location === 'inline' ? inlineBounds(field) : locatedBounds(field);
  if (!isText) return bounds;
  return {
    start: bounds.start,
    end: (record) => {
      const stop = bounds.end(record);
      for (let i = bounds.start(record); i < stop; i++) if (record.bytes[i] === 0) return i;
      return stop;
    },
  };
}

/** Returns a string field's text, with invalid UTF-8 replaced. Too slow for every event. */
export function textOf(reader: BytesReader, record: EventRecord): string {
  const { bytes } = record;
  const start = reader.start(record);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, reader.end(record) - start).toString('utf8');
}

function signed64(at: number): IntReader {
  const end = at + 8;
  if ((at & 3) !== 0) return (record) => bytewise(record, at, 8, true);
  return (record) => {
    if (record.length < end) return 0;
    const { words } = record;
    const i = (record.offset + at) >> 2;
    return words[i + 1] * TWO_POW_32 + (words[i] >>> 0);
  };
}

function unsigned64(at: number): IntReader {
  const end = at + 8;
  if ((at & 3) !== 0) return (record) => bytewise(record, at, 8, false);
  return (record) => {
    if (record.length < end) return 0;
    const { words } = record;
    const i = (record.offset + at) >> 2;
    return (words[i + 1] >>> 0) * TWO_POW_32 + (words[i] >>> 0);
  };
}

function acrossWords({ offset: at, size, signed }: FieldFormat): IntReader {
  return (record) => bytewise(record, at, size, signed);
}

function bytewise(record: EventRecord, at: number, size: number, signed: boolean): number {
  if (record.length < at + size) return 0;
  const last = record.bytes[record.offset + at + size - 1];
  let value = signed && last >= 128 ? last - 256 : last;
  for (let i = size - 2; i >= 0; i--) value = value * 256 + record.bytes[record.offset + at + i];
  return value;
}

function inlineBounds({ offset: at, size }: FieldFormat): BytesReader {
  // Size 0 means a flexible array, which extends to the end of the record.
  const length = size === 0 ? Number.MAX_SAFE_INTEGER : size;
  return {
    start: (record) => record.offset + Math.min(at, record.length),
    end: (record) => record.offset + Math.min(at + length, record.length),
  };
}

/**
 * Makes a reader of a dynamic array. The low 16 bits of the field contain the array's offset from the start of the
 * record or, for `__rel_loc`, from the end of the field. The high 16 bits contain the length. A 2-byte field contains
 * no length: its array extends to the end of the record.
 */
function locatedBounds({ offset: at, size, location }: FieldFormat): BytesReader {
  const base = location === 'rel_loc' ? at + size : 0;
  const readsLength = size >= 4;
  const start = (record: EventRecord): number => {
    if (record.length < at + size) return record.offset + record.length;
    const i = record.offset + at;
    return record.offset + Math.min(base + (record.bytes[i] | (record.bytes[i + 1] << 8)), record.length);
  };
  const end = (record: EventRecord): number => {
    const stop = record.offset + record.length;
    if (!readsLength || record.length < at + size) return stop;
    const i = record.offset + at;
    return Math.min(start(record) + (record.bytes[i + 2] | (record.bytes[i + 3] << 8)), stop);
  };
  return { start, end };
}

function integerField(format: EventFormat, fieldName: string): FieldFormat {
  const field = fieldOf(format, fieldName);
  const { size, array } = field;
  if (array || (size !== 1 && size !== 2 && size !== 4 && size !== 8)) {
    const what = array ? 'is an array' : `has ${size} bytes`;
    throw new Error(
      `${format.system}:${format.name}: field ${fieldName} (${field.type}) ${what}, not a number of 1, 2, 4 or 8 bytes`,
    );
  }
  return field;
}

function fieldOf(format: EventFormat, fieldName: string): FieldFormat {
  const field = format.fields.find((f) => f.name === fieldName);
  if (field !== undefined) return field;
  const there = format.fields.map((f) => f.name).join(', ');
  throw new Error(`${format.system}:${format.name} has no field ${fieldName}; it has ${there}`);
}
