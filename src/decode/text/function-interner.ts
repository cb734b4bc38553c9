/**
 * Assigns numbers from 1 to function names. Text contains no addresses, so the decoder writes these numbers to a
 * record's address fields. Only a new name allocates a string.
 */

import type { FunctionNames } from '../../model/function-names.ts';

export interface FunctionInterner extends FunctionNames {
  /** Returns the name's number; 0 if the bytes are not a name (empty, too long, an address) or the table is full. */
  intern(bytes: Uint8Array, from: number, to: number): number;
}

/** Maximum number of names. A kernel with all its modules has fewer functions. */
const MOST_NAMES = 1 << 19;
/** KSYM_NAME_LEN, include/linux/kallsyms.h. */
const LONGEST_NAME = 512;

export function makeFunctionInterner(): FunctionInterner {
  const names: string[] = [''];
  /** The bytes of all names in sequence: name i begins at `starts[i]` and ends at `starts[i + 1]`. */
  let pool = new Uint8Array(1 << 14);
  let starts = new Int32Array(1 << 9);
  /** Hash table with open addressing: numbers of names, or 0. At least half of the elements are 0. */
  let places = new Int32Array(1 << 10);

  const isName = (number: number, bytes: Uint8Array, from: number, to: number): boolean => {
    const start = starts[number];
    if (starts[number + 1] - start !== to - from) return false;
    for (let i = from, at = start; i < to; i++, at++) if (pool[at] !== bytes[i]) return false;
    return true;
  };

  const add = (bytes: Uint8Array, from: number, to: number): number => {
    const number = names.length;
    if (number >= MOST_NAMES) return 0;
    const start = starts[number];
    const length = to - from;
    if (start + length > pool.length) {
      const larger = new Uint8Array(Math.max(pool.length * 2, start + length));
      larger.set(pool);
      pool = larger;
    }
    pool.set(bytes.subarray(from, to), start);
    if (number + 2 > starts.length) {
      const larger = new Int32Array(starts.length * 2);
      larger.set(starts);
      starts = larger;
    }
    starts[number + 1] = start + length;
    names.push(Buffer.from(bytes.subarray(from, to)).toString('latin1'));
    return number;
  };

  const grow = (): void => {
    const larger = new Int32Array(places.length * 2);
    const mask = larger.length - 1;
    for (let number = 1; number < names.length; number++) {
      let place = hashOf(pool, starts[number], starts[number + 1]) & mask;
      while (larger[place] !== 0) place = (place + 1) & mask;
      larger[place] = number;
    }
    places = larger;
  };

  return {
    generation: 0,
    isOfText: true,
    intern: (bytes, from, to) => {
      // The kernel prints `0x…` for an address that has no name.
      const isAddress = bytes[from] === 0x30;
      if (to <= from || isAddress || to - from > LONGEST_NAME) return 0;
      const mask = places.length - 1;
      let place = hashOf(bytes, from, to) & mask;
      for (let number = places[place]; number !== 0; number = places[place]) {
        if (isName(number, bytes, from, to)) return number;
        place = (place + 1) & mask;
      }
      const number = add(bytes, from, to);
      if (number === 0) return 0;
      places[place] = number;
      if (names.length * 2 > places.length) grow();
      return number;
    },
    nameOf: (low, high) => (high === 0 && low > 0 ? names[low] : undefined),
  };
}

function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0;
  for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + bytes[i]) | 0;
  return hash ^ (hash >>> 15);
}
