/** Keeps the last columns (changes in a period of time) of one resolution, within limits of time and memory. */

export interface Column {
  /** End of the column in ms: Unix time, or time since the start of a recording. */
  endMs: number;
  /** Length of the time that the column covers. */
  spanMs: number;
  /** Encoded differences (see column.ts). Undefined for a gap. */
  bytes: Uint8Array | undefined;
  /** Whether the agent was ready at the end of the column. If not, counts may be too low. */
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

/** Memory of V8's objects for one column, in addition to its bytes. */
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
      // If the clock was set back, drop all columns, because columns must stay in time order.
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
