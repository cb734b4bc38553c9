/**
 * Caches slots of a metric family in a table. A row is the subject of a series, such as a device; a column is a CPU, or
 * there is only one column. A slot is resolved on first use, so the hot path needs no label values.
 */
export class SlotCache {
  #slots: Int32Array;
  readonly #columns: number;
  readonly #resolve: (row: number, column: number) => number;

  /** `resolve` returns the slot of the family. It is called once per cell. */
  constructor(columns: number, resolve: (row: number, column: number) => number) {
    this.#columns = Math.max(1, columns);
    this.#resolve = resolve;
    this.#slots = new Int32Array(this.#columns).fill(-1);
  }

  at(row: number, column: number): number {
    // Do not cache CPUs that the kernel did not announce, because their cell would be in the next row.
    if (column >= this.#columns) return this.#resolve(row, column);
    const at = row * this.#columns + column;
    const slot = at < this.#slots.length ? this.#slots[at] : -1;
    return slot >= 0 ? slot : this.#fill(at, row, column);
  }

  /** Forgets a row after its series were removed. */
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
