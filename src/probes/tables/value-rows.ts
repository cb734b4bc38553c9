/**
 * Maps 64-bit numbers from events, such as function addresses, to rows. A row is the index of a name. The kernel can
 * change names, so the caller must call `refresh` about once a second.
 */
import type { FunctionNames } from '../../model/function-names.ts';

/** Name of numbers that have none. */
const UNKNOWN = 'unknown';
export const UNKNOWN_ROW = 0;
/** Name of numbers whose own name gets no row. */
const OTHER = 'other';
export const OTHER_ROW = 1;

/** A name that belongs to no number loses its row after this many calls of `expired`. */
const KEPT_CALLS = 300;

/** Words of an entry: the number (two words), and the row plus 1 (0: the entry is free). */
const LOW = 0;
const HIGH = 1;
const ROW = 2;
const ENTRY_BITS = 2;
const ENTRY = 1 << ENTRY_BITS;
/** For 4,096 numbers, which is enough for most uses: V8 treats `entries` as a constant only until it is replaced. */
const SMALLEST_BITS = 13;
/** Binary logarithm of the maximum number of entries. A kernel has about 50,000 traceable functions. */
const LARGEST_BITS = 18;

export class ValueRows {
  /** Name by row. */
  readonly names: string[] = [UNKNOWN, OTHER];
  /** The fast part of `row`. Returns -1 if the table has no entry for the number yet. */
  readonly peek: (low: number, high: number) => number;
  /** Public, because V8 would not treat a private field as a constant. */
  entries = new Int32Array(1 << (SMALLEST_BITS + ENTRY_BITS));
  readonly #rows = new Map<string, number>();
  readonly #free: number[] = [];
  /** Names that belong to no number, with the calls of `expired` until they lose their rows. */
  readonly #missing = new Map<string, number>();
  readonly #source: FunctionNames;
  readonly #maxNames: number;
  readonly #onRefused: () => void;
  #generation: number;
  #bits = SMALLEST_BITS;
  #used = 0;

  /** `onRefused` is called for each name that gets no row because `maxNames` names have rows. */
  constructor(source: FunctionNames, maxNames: number, onRefused: () => void) {
    this.#source = source;
    this.#maxNames = maxNames;
    this.#onRefused = onRefused;
    this.#generation = source.generation;
    this.peek = (low, high) => {
      const { entries } = this;
      const last = entries.length - ENTRY;
      let entry = (hash(low, high) << ENTRY_BITS) & last;
      for (;;) {
        const row = entries[entry + ROW] - 1;
        if (row < 0 || (entries[entry + LOW] === low && entries[entry + HIGH] === high)) return row;
        entry = (entry + ENTRY) & last;
      }
    };
  }

  row(low: number, high: number): number {
    const row = this.peek(low, high);
    return row < 0 ? this.#add(low, high) : row;
  }

  /** Empties the table if names may have changed. Each name keeps its row. */
  refresh(): void {
    if (this.#source.generation === this.#generation) return;
    this.#clear();
    const missing = new Set(this.#source.missing?.(this.#rows.keys()));
    for (const name of this.#missing.keys()) if (!missing.has(name)) this.#missing.delete(name);
    for (const name of missing) if (!this.#missing.has(name)) this.#missing.set(name, KEPT_CALLS);
  }

  /**
   * Returns rows that no number has used for about five minutes. The caller must remove their series, because other
   * names will get the rows. Call this about once a second.
   */
  expired(): number[] {
    const gone: number[] = [];
    for (const [name, calls] of this.#missing) {
      if (calls > 0) {
        this.#missing.set(name, calls - 1);
        continue;
      }
      const row = this.#rows.get(name) as number;
      this.#missing.delete(name);
      this.#rows.delete(name);
      this.#free.push(row);
      gone.push(row);
    }
    return gone;
  }

  #add(low: number, high: number): number {
    // With half of the entries free, every search soon finds a free entry.
    if (this.#used >= 1 << (this.#bits - 1)) {
      if (this.#bits === LARGEST_BITS) this.#clear();
      else this.#grow();
    }
    const row = this.#rowOf(this.#source.nameOf(low, high));
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
    row = this.#free.pop() ?? this.names.length;
    this.#rows.set(name, row);
    this.names[row] = name;
    return row;
  }

  #put(low: number, high: number, value: number): void {
    const mask = (1 << this.#bits) - 1;
    let at = hash(low, high) & mask;
    while (this.entries[(at << ENTRY_BITS) + ROW] !== 0) at = (at + 1) & mask;
    const entry = at << ENTRY_BITS;
    this.entries[entry + LOW] = low;
    this.entries[entry + HIGH] = high;
    this.entries[entry + ROW] = value;
    this.#used++;
  }

  #grow(): void {
    const old = this.entries;
    this.#bits++;
    this.entries = new Int32Array(old.length * 2);
    this.#used = 0;
    for (let entry = 0; entry < old.length; entry += ENTRY) {
      if (old[entry + ROW] !== 0) this.#put(old[entry + LOW], old[entry + HIGH], old[entry + ROW]);
    }
  }

  #clear(): void {
    this.entries.fill(0);
    this.#used = 0;
    this.#generation = this.#source.generation;
  }
}

/** The lowest bits of function addresses are zero, as are those of the product. The shift mixes in higher bits. */
function hash(low: number, high: number): number {
  const h = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
  return (h >>> 13) ^ h;
}
