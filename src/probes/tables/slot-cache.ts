/**
 * Slots of a metric family in a table of rows (what the series is about) and columns (CPUs, or one for all). Resolves a
 * slot on first use, so that the hot path needs no label values.
 */
export class SlotCache {
  #slots: Int32Array;
  readonly #columns: number;
  readonly #resolve: (row: number, column: number) => number;

  /** `resolve` gives the family's slot; called once per cell. */
  constructor(columns: number, resolve: (row: number, column: number) => number) {
    this.#columns = Math.max(1, columns);
    this.#resolve = resolve;
    this.#slots = new Int32Array(this.#columns).fill(-1);
  }

  at(row: number, column: number): number {
    // The cell would lie in the next row: do not cache a CPU that the kernel did not announce.
    if (column >= this.#columns) return this.#resolve(row, column);
    const at = row * this.#columns + column;
    const slot = at < this.#slots.length ? this.#slots[at] : -1;
    return slot >= 0 ? slot : this.#fill(at, row, column);
  }

  /** Forgets a row whose series are gone. */
  forget(row: number): void {
    this.#slots.fill(-1, row * this.#columns, (row + 1) * this.#columns);
  }

  #fill(at: number, row: number, column: number): number {
    if (at >= this.#slots.length) {
      const grown = new Int32Array(Math.max(at + 1, this.#slots.length * 2)).fill(-1);
      grown.set(this.#slots);
      this.#slots = grown;
    }
    const slot = this.#resolve(row, column);
    this.#slots[at] = slot;
    return slot;
  }
}
