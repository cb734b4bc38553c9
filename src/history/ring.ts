/** The last columns of one resolution, limited in time and in bytes. */

export interface Column {
  /** End of the column: Unix time, or time since the start of a recording. */
  endMs: number;
  /** Time it covers. */
  spanMs: number;
  /** The differences as bytes; undefined for a gap, a time about which nothing is known. */
  bytes: Uint8Array | undefined;
  /** Whether all requested events arrived. If not, a small count may mean that nothing was seen. */
  isReady: boolean;
}

export interface Columns {
  name: string;
  stepMs: number;
  keepMs: number;
  columns: readonly Column[];
}

export interface Ring extends Columns {
  push(column: Column): void;
}

/** Memory of a column besides its bytes, for V8's objects. */
const OVERHEAD_BYTES = 250;

export function makeRing(name: string, stepMs: number, keepMs: number, maxBytes: number): Ring {
  const columns: Column[] = [];
  let bytes = 0;
  const sizeOf = (column: Column) => OVERHEAD_BYTES + (column.bytes?.length ?? 0);
  return {
    name,
    stepMs,
    keepMs,
    columns,
    push: (column) => {
      // The clock was set back: columns must stay in the order of their times.
      if (column.endMs <= (columns.at(-1)?.endMs ?? Number.NEGATIVE_INFINITY)) {
        columns.length = 0;
        bytes = 0;
      }
      columns.push(column);
      bytes += sizeOf(column);
      while (columns.length * stepMs > keepMs || (bytes > maxBytes && columns.length > 1))
        bytes -= sizeOf(columns.shift() as Column);
    },
  };
}
