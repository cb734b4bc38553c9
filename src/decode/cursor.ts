/**
 * State of the merge (merge.ts). A *cursor* is the reading position in one CPU's pages. Cursors have indices from 0, in
 * the order in which CPUs appear.
 */
import type { Page } from './page.ts';

/** The part of a cursor's state that the merge does not use for every event. `Columns` contains the other part. */
export interface Cursor {
  cpu: number;
  /** Index of this cursor in the columns. */
  at: number;
  queue: Page[];
  /**
   * Sum of `Page.lostCount`. Can be less than `BufferStats.overrun`, because not every page contains a number of lost
   * events.
   */
  flaggedLost: number;
  /** Whether events of this CPU were lost before its next event. The merge then calls `onLoss`. */
  lossPending: boolean;
  /** Number of pages that the merge dropped entirely or in part. */
  givenUp: number;
}

/**
 * The part of the cursors' state that the merge uses for every event. The arrays are indexed by cursor, except `heap`
 * and `size`. V8 never moves the typed arrays, so compiled code contains their addresses. If each cursor were an
 * object, V8 would store each of its doubles in a separate heap object.
 */
export interface Columns {
  /** Timestamp (`stamps`) and byte offset in the page (`positions`) of each cursor's next event. */
  readonly stamps: Float64Array;
  readonly positions: Int32Array;
  /** The page that contains the cursor's next event. Undefined if the cursor has no next event. */
  readonly pages: (Page | undefined)[];
  readonly cpus: Int32Array;
  /** Number of data events that the merge decoded, with or without a handler. */
  readonly events: Float64Array;
  readonly late: Float64Array;
  /**
   * Binary heap of the indices of the cursors that have a next event. The cursor with the lowest timestamp is first.
   */
  readonly heap: Int32Array;
  /** Element 0: number of cursors in the heap. */
  readonly size: Int32Array;
}

/** Minimum length of the columns. V8 never moves typed arrays of more than 64 bytes. */
const SMALLEST = 32;

export function makeCursor(cpu: number, at: number): Cursor {
  return { cpu, at, queue: [], flaggedLost: 0, lossPending: false, givenUp: 0 };
}

/** Makes columns for at least `capacity` CPUs. */
export function makeColumns(capacity: number): Columns {
  const length = Math.max(capacity, SMALLEST);
  return {
    stamps: new Float64Array(length),
    positions: new Int32Array(length),
    pages: [],
    cpus: new Int32Array(length),
    events: new Float64Array(length),
    late: new Float64Array(length),
    heap: new Int32Array(length),
    size: new Int32Array(SMALLEST),
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
 * Returns a function that restores the heap's order after the timestamp of the heap's first cursor has increased. The
 * function is a closure, so that V8 can inline it together with the addresses of the arrays.
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

/** Removes the heap's first cursor. The caller must then restore the heap's order. */
export function dropRoot({ heap, size }: Columns): void {
  size[0]--;
  heap[0] = heap[size[0]];
}
