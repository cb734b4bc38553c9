/**
 * Rows of functions by their address: what records hold in, a row of the slot cache out, without a string or an
 * allocation for an address that was seen before. An open-addressing table of words; filled on first sight.
 *
 * What the names stand for can change (a module came or went): `refresh` is called about once a second and voids the
 * table then. Not for every event, since whoever notices a change of modules does so no more often.
 */
import type { FunctionNames } from '../../model/function-names.ts';

/** Addresses without a name. */
const UNKNOWN = 'unknown';
export const UNKNOWN_ROW = 0;
/** Functions past the limit. */
const OTHER = 'other';
export const OTHER_ROW = 1;
const FIRST_ROW = 2;

/** Words of an entry: low and high half of the address, row + 1 (0: free). */
const LOW = 0;
const HIGH = 1;
const ROW = 2;
const ENTRY_BITS = 2;
const SMALLEST_BITS = 10;
/** A kernel has some 50,000 functions that can be traced. What fills more than this is no kernel's: start anew. */
const LARGEST_BITS = 18;

export class FunctionRows {
  /** Name by row. */
  readonly names: string[] = [UNKNOWN, OTHER];
  readonly #rows = new Map<string, number>();
  readonly #functions: FunctionNames;
  readonly #maxNames: number;
  readonly #onRefused: () => void;
  #generation: number;
  #bits = SMALLEST_BITS;
  #entries = new Int32Array(1 << (SMALLEST_BITS + ENTRY_BITS));
  #used = 0;

  /** `onRefused`: a function has no row of its own because there are `maxNames` already. */
  constructor(functions: FunctionNames, maxNames: number, onRefused: () => void) {
    this.#functions = functions;
    this.#maxNames = maxNames;
    this.#onRefused = onRefused;
    this.#generation = functions.generation;
  }

  /** Row of the function at an address, given as two words. */
  row(low: number, high: number): number {
    const entries = this.#entries;
    const mask = (1 << this.#bits) - 1;
    let at = hash(low, high) & mask;
    for (;;) {
      const entry = at << ENTRY_BITS;
      const row = entries[entry + ROW];
      if (row === 0) return this.#add(low, high);
      if (entries[entry + LOW] === low && entries[entry + HIGH] === high) return row - 1;
      at = (at + 1) & mask;
    }
  }

  /** Forgets which address is which function, if names may have changed. Rows keep their names. */
  refresh(): void {
    if (this.#functions.generation !== this.#generation) this.#clear();
  }

  #add(low: number, high: number): number {
    // Never more than half full, so that a free entry ends every search soon.
    if (this.#used >= 1 << (this.#bits - 1)) {
      if (this.#bits === LARGEST_BITS) this.#clear();
      else this.#grow();
    }
    const row = this.#rowOf(this.#functions.nameOf(low, high));
    this.#put(low, high, row + 1);
    return row;
  }

  #rowOf(name: string | undefined): number {
    if (name === undefined) return UNKNOWN_ROW;
    let row = this.#rows.get(name);
    if (row !== undefined) return row;
    if (this.#rows.size >= this.#maxNames) {
      this.#onRefused();
      return OTHER_ROW;
    }
    row = FIRST_ROW + this.#rows.size;
    this.#rows.set(name, row);
    this.names[row] = name;
    return row;
  }

  #put(low: number, high: number, value: number): void {
    const mask = (1 << this.#bits) - 1;
    let at = hash(low, high) & mask;
    while (this.#entries[(at << ENTRY_BITS) + ROW] !== 0) at = (at + 1) & mask;
    const entry = at << ENTRY_BITS;
    this.#entries[entry + LOW] = low;
    this.#entries[entry + HIGH] = high;
    this.#entries[entry + ROW] = value;
    this.#used++;
  }

  #grow(): void {
    const old = this.#entries;
    this.#bits++;
    this.#entries = new Int32Array(old.length * 2);
    this.#used = 0;
    for (let entry = 0; entry < old.length; entry += 1 << ENTRY_BITS) {
      if (old[entry + ROW] !== 0) this.#put(old[entry + LOW], old[entry + HIGH], old[entry + ROW]);
    }
  }

  #clear(): void {
    this.#entries.fill(0);
    this.#used = 0;
    this.#generation = this.#functions.generation;
  }
}

/** Functions are aligned to 16 bytes: the lowest bits tell nothing. */
function hash(low: number, high: number): number {
  const h = Math.imul((low >>> 4) ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
  return (h >>> 13) ^ h;
}
