/** State of the merge (merge.ts). A *cursor* is the reading position in one CPU's pages. */
import type { Page } from './page.ts';

/** The state of a cursor that the merge does not need for every event. `Columns` contains the rest. */
export interface Cursor {
  cpu: number;
  /** Index of this cursor in the columns. */
  at: number;
  queue: Page[];
  /** Sum of `Page.lostCount`. Less than `BufferStats.overrun` if some pages contain no number. */
  flaggedLost: number;
  /** Whether events of this CPU were lost before its next event. */
  lossPending: boolean;
  /** Number of pages that the merge dropped entirely or in part. */
  givenUp: number;
}

/**
 * The state of all cursors that the merge needs for every event, indexed by cursor except for `heap` and `size`. Typed
 * arrays of numbers, because V8 stores a double in an object's property in a separate heap object.
 */
export interface Columns {
  /** Timestamp (`stamps`) and byte offset in the page (`positions`) of each cursor's next event. */
  readonly stamps: Float64Array;
  readonly positions: Int32Array;
  /** The page of the cursor's next event; undefined if there is none. */
  readonly pages: (Page | undefined)[];
  readonly cpus: Int32Array;
  /** Number of data events that the merge decoded, with or without a handler. */
  readonly events: Float64Array;
  readonly late: Float64Array;
  /** Binary heap of the indices of all cursors with a next event. The lowest timestamp is first. */
  readonly heap: Int32Array;
  /** Element 0: number of cursors in the heap. */
  readonly size: Int32Array;
}

/** Length of a typed array that V8 stores outside its heap and never moves (more than 64 bytes). Access is then faster. */
export const OUTSIDE_THE_HEAP = 32;

export function makeCursor(cpu: number, at: number): Cursor {
  return { cpu, at, queue: [], flaggedLost: 0, lossPending: false, givenUp: 0 };
}

/** Makes columns for at least `capacity` CPUs. */
export function makeColumns(capacity: number): Columns {
  const length = Math.max(capacity, OUTSIDE_THE_HEAP);
  return {
    stamps: new Float64Array(length),
    positions: new Int32Array(length),
    pages: [],
    cpus: new Int32Array(length),
    events: new Float64Array(length),
    late: new Float64Array(length),
    heap: new Int32Array(length),
    size: new Int32Array(OUTSIDE_THE_HEAP),
  };
}

/** Returns a copy of the columns with room for twice as many CPUs. */
export function grown(columns: Columns): Columns {
  const copy = makeColumns(columns.stamps.length * 2);
  copy.pages.push(...columns.pages);
  for (const name of ['stamps', 'positions', 'cpus', 'events', 'late', 'heap', 'size'] as const)
    copy[name].set(columns[name]);
  return copy;
}

/**
 * Returns a function that restores the order of the heap after the first cursor's timestamp has increased. A closure,
 * so that V8 can inline the addresses of the arrays.
 */
export function makeSift({ heap, stamps, size }: Columns): () => void {
  return () => {
    const n = size[0];
    const at = heap[0];
    const stamp = stamps[at];
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && stamps[heap[child + 1]] < stamps[heap[child]]) child++;
      if (stamps[heap[child]] >= stamp) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = at;
  };
}

/** Adds a cursor to the heap. The caller must first set the cursor's timestamp. */
export function push({ heap, stamps, size }: Columns, at: number): void {
  let i = size[0]++;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (stamps[heap[parent]] <= stamps[at]) break;
    heap[i] = heap[parent];
    i = parent;
  }
  heap[i] = at;
}

/** Removes the heap's first cursor. The caller must then restore the order of the heap. */
export function dropRoot({ heap, size }: Columns): void {
  size[0]--;
  heap[0] = heap[size[0]];
}
