/** Enough for most tables. Growth should be rare, because V8 treats `slots` as a constant only until it is replaced. */
const FIRST_CELLS = 1024;

/**
 * Caches the slots of a metric family. A slot is the number of a series. A row is the number of a thing, such as a
 * device. A column is usually a CPU.
 */
export class SlotCache {
  /** Returns the slot of a cell; -1 if it is not cached. */
  readonly peek: (row: number, column: number) => number;
  readonly at: (row: number, column: number) => number;
  /** Forgets the slots of a row. The caller must call this when it removes the series of the row. */
  readonly forget: (row: number) => void;
  readonly #columns: number;
  /** By cell: the slot plus 1; 0 if not cached. V8 would not treat the array of a private field as a constant. */
  slots = new Int32Array(FIRST_CELLS);

  /** `resolve` looks up the slot of a cell. */
  constructor(columnCount: number, resolve: (row: number, column: number) => number) {
    const columns = Math.max(1, columnCount);
    this.#columns = columns;
    const fill = (at: number, row: number, column: number): number => {
      if (at >= this.slots.length) {
        const grown = new Int32Array(Math.max(at + 1, this.slots.length * 2));
        grown.set(this.slots);
        this.slots = grown;
      }
      const slot = resolve(row, column);
      this.slots[at] = slot + 1;
      return slot;
    };
    this.peek = (row, column) => {
      const at = row * columns + column;
      // If `column` is too large, the index would be that of a cell in the next row.
      return column < columns && at < this.slots.length ? this.slots[at] - 1 : -1;
    };
    this.at = (row, column) => {
      const slot = this.peek(row, column);
      if (slot >= 0) return slot;
      return column < columns ? fill(row * columns + column, row, column) : resolve(row, column);
    };
    this.forget = (row) => {
      this.slots.fill(0, row * columns, (row + 1) * columns);
    };
  }

  /** Number of rows for which `slots` has memory. */
  get rows(): number {
    return Math.ceil(this.slots.length / this.#columns);
  }

  forgetCell(row: number, column: number): void {
    this.slots[row * this.#columns + column] = 0;
  }
}
