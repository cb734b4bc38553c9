/**
 * Reads the key of an operation from its start or end event. A key consists of 32-bit words; a 64-bit field becomes
 * two.
 */

import { CPU, type KeyPart } from '../../model/declared-metric.ts';
import type { EventFormat, FieldFormat } from '../../model/format.ts';
import type { EventRecord } from '../../model/record.ts';
import { TWO_POW_32 } from '../../model/time.ts';

/** Writes the record's key into `into`. */
export type KeyReader = (record: EventRecord, into: Int32Array) => void;

export interface Keys {
  /** Words per key. */
  width: number;
  start: KeyReader;
  end: KeyReader;
}

/** One word of a key: `((words[at] << up) >> down) & mask`, or the CPU if `at` is negative. */
interface Word {
  at: number;
  up: number;
  down: number;
  mask: number;
}

/** Throws an `Error` if a field is missing or is not a number. */
export function makeKeys(parts: readonly KeyPart[], start: EventFormat, end: EventFormat): Keys {
  const [ofStart, ofEnd]: [Word[], Word[]] = [[], []];
  for (const { start: startField, end: endField, mask } of parts) {
    const [first, last] = [fieldOf(start, startField), fieldOf(end, endField)];
    const width = first?.size === 8 || last?.size === 8 ? 2 : 1;
    ofStart.push(...wordsOf(start, first, width, mask));
    ofEnd.push(...wordsOf(end, last, width, mask));
  }
  return { width: ofStart.length, start: readerOf(ofStart), end: readerOf(ofEnd) };
}

/** Returns undefined if the name means the CPU of the event. */
function fieldOf(format: EventFormat, name: string): FieldFormat | undefined {
  if (name === CPU) return undefined;
  const field = format.fields.find((candidate) => candidate.name === name);
  if (field !== undefined) return field;
  throw new Error(`event ${format.system}:${format.name} has no field ${name}`);
}

function wordsOf(format: EventFormat, field: FieldFormat | undefined, width: number, mask?: number): Word[] {
  if (field === undefined) {
    const zero = { at: 0, up: 0, down: 0, mask: 0 };
    return [{ ...zero, at: -1 }, zero].slice(0, width);
  }
  const { name, offset, size, signed, array } = field;
  const isWhole = size === 8 ? (offset & 3) === 0 : (offset & 3) + size <= 4;
  if (array || !isWhole || ![1, 2, 4, 8].includes(size))
    throw new Error(
      `field ${name} of ${format.system}:${format.name} (${field.type}) is not a number, so it cannot be a key`,
    );
  const at = offset >> 2;
  const lowMask = mask === undefined ? -1 : mask | 0;
  const highMask = mask === undefined ? -1 : Math.floor(mask / TWO_POW_32) | 0;
  if (size === 8) {
    const low = { at, up: 0, down: 0, mask: lowMask };
    return [low, { at: at + 1, up: 0, down: 0, mask: highMask }];
  }
  const up = 32 - 8 * ((offset & 3) + size);
  const bits = size === 4 || signed ? -1 : (1 << (8 * size)) - 1;
  const low = { at, up, down: 32 - 8 * size, mask: lowMask & bits };
  if (width === 1) return [low];
  // The field of the other event has 64 bits, so add a high word.
  return [low, { at, up, down: 31, mask: signed ? highMask : 0 }];
}

function readerOf(words: readonly Word[]): KeyReader {
  const readers = words.map((word, i) => wordReader(word, i));
  return readers.reduce((before, next) => (record, into) => {
    before(record, into);
    next(record, into);
  });
}

function wordReader({ at, up, down, mask }: Word, i: number): KeyReader {
  if (at < 0) {
    return (record, into) => {
      into[i] = record.cpu;
    };
  }
  if (up === 0 && down === 0 && mask === -1) {
    return (record, into) => {
      into[i] = record.words[(record.offset >> 2) + at];
    };
  }
  return (record, into) => {
    into[i] = ((record.words[(record.offset >> 2) + at] << up) >> down) & mask;
  };
}
