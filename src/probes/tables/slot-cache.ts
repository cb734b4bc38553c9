/** Enough for most tables. V8 treats the array in public field `slots` as a constant until the array is replaced. */
const FIRST_CELLS = 1024;

/**
 * Caches the slots of a metric family in a table. A row is what a series is about, such as a device. A column is
 * usually a CPU. A slot is resolved on first use, so the hot path needs no label values.
 */
export class SlotCache {
  /** Returns the slot of a cell; -1 if it is not resolved. */
  readonly peek: (row: number, column: number) => number;
  /** Returns the slot of a cell, and resolves it on first use. */
  readonly at: (row: number, column: number) => number;
  /** Forgets a row after its series were removed. */
  readonly forget: (row: number) => void;
  readonly #columns: number;
  /** The slot plus 1, by cell; 0 if not resolved. Public, so that V8 treats it as a constant (see `FIRST_CELLS`). */
  slots = new Int32Array(FIRST_CELLS);

  /** `resolve` returns the family's slot for a cell. It is called when the cell is first used. */
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
      // A CPU that the kernel did not announce has no column. Its index would be that of a cell in the next row.
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
