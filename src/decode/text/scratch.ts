/**
 * Allocates one *scratch buffer* with a place for one record of each event type, and writes fields to it. A record has
 * the layout of its event's format, as in raw pages.
 */
import type { EventFormat, FieldFormat } from '../../model/format.ts';
import { TWO_POW_32 } from '../../model/time.ts';

/** Bytes reserved for each string of variable length. */
const STRING_ROOM = 8192;
const MOST_STRINGS = 7;

export interface Scratch {
  readonly words: Int32Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface RecordPlace {
  /** Byte offset of the record's payload; a multiple of 8. */
  base: number;
  /** Length in bytes of the fields at fixed offsets. */
  fixedLength: number;
  /** Length in bytes including strings. */
  room: number;
}

/** Also writes each record's `common_type`. Throws an `Error` if a type has more than 7 strings of variable length. */
export function makeScratch(types: readonly { format: EventFormat; fields: readonly string[] }[]): {
  scratch: Scratch;
  places: RecordPlace[];
} {
  let next = 0;
  const places = types.map(({ format, fields }) => {
    const fixedLength = roundUp(Math.max(8, ...format.fields.map((field) => field.offset + field.size)), 8);
    const strings = format.fields.filter((field) => fields.includes(field.name) && hasNoFixedSize(field));
    if (strings.length > MOST_STRINGS) throw new Error(`more than ${MOST_STRINGS} strings`);
    const room = fixedLength + strings.length * STRING_ROOM;
    const place = { base: next, fixedLength, room };
    next += room;
    return place;
  });
  const buffer = new ArrayBuffer(next + 8);
  const scratch = { words: new Int32Array(buffer), bytes: new Uint8Array(buffer) };
  types.forEach(({ format }, i) => {
    const type = format.fields.find((field) => field.name === 'common_type');
    writeInteger(scratch.bytes, places[i].base + (type?.offset ?? 0), type?.size ?? 2, format.id, 0);
  });
  return { scratch, places };
}

function hasNoFixedSize(field: FieldFormat): boolean {
  return field.location !== 'inline' || field.size === 0;
}

/** Writes an integer of up to 8 bytes, little-endian. */
export function writeInteger(bytes: Uint8Array, at: number, size: number, low: number, high: number): void {
  for (let i = 0; i < size; i++) bytes[at + i] = i < 4 ? low >>> (8 * i) : high >>> (8 * (i - 4));
}

/** Writes an integer that may be negative, exact to 2^53. */
export function writeNumber(bytes: Uint8Array, at: number, size: number, value: number): void {
  const high = Math.floor(value / TWO_POW_32);
  writeInteger(bytes, at, size, (value - high * TWO_POW_32) | 0, high | 0);
}

/**
 * Copies a string into a field, or as much as fits. `at`: next free position for strings of variable length. Returns
 * the next free position after the string.
 */
export function writeString(
  scratch: Scratch,
  place: RecordPlace,
  field: FieldFormat,
  at: number,
  source: Uint8Array,
  from: number,
  to: number,
): number {
  const { bytes } = scratch;
  if (!hasNoFixedSize(field)) {
    const start = place.base + field.offset;
    const length = Math.min(to - from, field.size - 1);
    for (let i = 0; i < length; i++) bytes[start + i] = source[from + i];
    bytes[start + Math.max(0, length)] = 0;
    return at;
  }
  const start = field.location === 'inline' ? place.base + field.offset : at;
  const length = Math.min(to - from, STRING_ROOM - 1, place.base + place.room - start - 1);
  for (let i = 0; i < length; i++) bytes[start + i] = source[from + i];
  bytes[start + length] = 0;
  if (field.location !== 'inline') {
    // See `locatedBounds` in fields.ts.
    const base = field.location === 'rel_loc' ? place.base + field.offset + field.size : place.base;
    writeInteger(bytes, place.base + field.offset, field.size, (start - base) | ((length + 1) << 16), 0);
  }
  return roundUp(start + length + 1, 4);
}

export function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
