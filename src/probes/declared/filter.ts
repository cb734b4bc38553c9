/**
 * Compiles the filter of a declared metric. The agent checks each record, even if the kernel also applies the filter.
 */
import { bytesReader, intReader, wordOffset } from '../../decode/fields.ts';
import {
  type Comparison,
  type EventFilter,
  filteredFields,
  parseEventFilter,
} from '../../model/event-filter.ts';
import type { EventFormat } from '../../model/format.ts';
import type { BytesReader, EventRecord } from '../../model/record.ts';
import { TWO_POW_32 } from '../../model/time.ts';

export type RecordFilter = (record: EventRecord) => boolean;

/** Names of the event's CPU in the kernel's filter language. */
const CPU_FIELDS: readonly string[] = ['CPU', 'cpu'];
const STAR = 0x2a;
const QUESTION = 0x3f;

/** Returns the fields that a filter reads, except `CPU`. */
export function fieldsOfFilter(where: string | undefined): string[] {
  return where === undefined
    ? []
    : filteredFields(parseEventFilter(where)).filter((field) => field !== 'CPU');
}

/** Throws an `Error` if the format lacks a field, or if the type of a field does not allow the comparison. */
export function compileFilter(where: string, format: EventFormat): RecordFilter {
  return compiled(parseEventFilter(where), format);
}

function compiled(filter: EventFilter, format: EventFormat): RecordFilter {
  if ('parts' in filter) {
    const [first, ...rest] = filter.parts.map((part) => compiled(part, format));
    return rest.reduce(filter.op === 'and' ? both : either, first);
  }
  if ('part' in filter) {
    const part = compiled(filter.part, format);
    return (record) => !part(record);
  }
  const { field, op, value } = filter;
  const isField = format.fields.some(({ name }) => name === field);
  if (!isField && CPU_FIELDS.includes(field)) return numberFilter((record) => record.cpu, op, Number(value));
  if (typeof value === 'string') return textFilter(bytesReader(format, field), op, value);
  return op === '&' ? bitsFilter(format, field, value) : numberFilter(intReader(format, field), op, value);
}

function both(a: RecordFilter, b: RecordFilter): RecordFilter {
  return (record) => a(record) && b(record);
}

function either(a: RecordFilter, b: RecordFilter): RecordFilter {
  return (record) => a(record) || b(record);
}

function numberFilter(read: (record: EventRecord) => number, op: Comparison, value: number): RecordFilter {
  switch (op) {
    case '!=':
      return (record) => read(record) !== value;
    case '<':
      return (record) => read(record) < value;
    case '<=':
      return (record) => read(record) <= value;
    case '>':
      return (record) => read(record) > value;
    case '>=':
      return (record) => read(record) >= value;
    case '&':
      return (record) => (read(record) & value) !== 0;
    default:
      return (record) => read(record) === value;
  }
}

/** Tests the two words of a 64-bit field separately, because a double cannot represent all 64 bits. */
function bitsFilter(format: EventFormat, field: string, value: number): RecordFilter {
  const size = format.fields.find(({ name }) => name === field)?.size;
  if (size !== 8) return numberFilter(intReader(format, field), '&', value);
  const at = wordOffset(format, field);
  const low = value | 0;
  const high = Math.floor(value / TWO_POW_32) | 0;
  return ({ words, offset }) =>
    ((words[(offset >> 2) + at] & low) | (words[(offset >> 2) + at + 1] & high)) !== 0;
}

function textFilter(text: BytesReader, op: Comparison, value: string): RecordFilter {
  const pattern = Buffer.from(value);
  const isGlob = op === '~';
  const equal: RecordFilter = (record) =>
    matches(pattern, isGlob, record.bytes, text.start(record), text.end(record));
  return op === '!=' ? (record) => !equal(record) : equal;
}

/** Whether the bytes match. If `isGlob` is false, `*` and `?` match only themselves. */
function matches(pattern: Uint8Array, isGlob: boolean, bytes: Uint8Array, from: number, to: number): boolean {
  let p = 0;
  let n = from;
  let star = -1;
  let resume = 0;
  while (n < to) {
    if (isGlob && pattern[p] === STAR) {
      star = p++;
      resume = n;
    } else if (p < pattern.length && (pattern[p] === bytes[n] || (isGlob && pattern[p] === QUESTION))) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++resume;
    } else return false;
  }
  while (isGlob && pattern[p] === STAR) p++;
  return p === pattern.length;
}
