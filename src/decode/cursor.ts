import type { Page } from './page.ts';

/** State of one CPU in the merge, beside its columns. */
export interface Cursor {
  cpu: number;
  /** Index of this CPU in the columns. */
  at: number;
  queue: Page[];
  /** Sum of the loss counts in pages. Can be less than `BufferStats.overrun`, because some pages have no loss count. */
  flaggedLost: number;
  /** Whether events were lost before the next event, so that `onLoss` must be called with the next event's time. */
  lossPending: boolean;
  /** Number of pages dropped entirely or in part. */
  givenUp: number;
}

/**
 * State of all CPUs that the merge reads for each event or run. The arrays never change, because V8 then knows their
 * addresses; V8 would box doubles that are fields of an object.
 */
export interface Columns {
  /** Timestamp and byte offset of the pending event, by cursor. */
  readonly stamps: Float64Array;
  readonly positions: Int32Array;
  /** The page that contains the pending event. Undefined if no event is pending. */
  readonly pages: (Page | undefined)[];
  readonly cpus: Int32Array;
  /** Number of data events decoded, with or without a handler. */
  readonly events: Float64Array;
  readonly late: Float64Array;
  /** Binary heap of the indices of cursors with a pending event, lowest timestamp first. */
  readonly heap: Int32Array;
  /** Element 0: number of cursors in the heap. */
  readonly size: Int32Array;
}

/** More CPUs than a kernel supports (NR_CPUS). The system gives memory only to the part that is used. */
const CAPACITY = 8192;

export function makeCursor(cpu: number, at: number): Cursor {
  return { cpu, at, queue: [], flaggedLost: 0, lossPending: false, givenUp: 0 };
}

export function makeColumns(): Columns {
  return {
    stamps: new Float64Array(CAPACITY),
    positions: new Int32Array(CAPACITY),
    pages: [],
    cpus: new Int32Array(CAPACITY),
    events: new Float64Array(CAPACITY),
    late: new Float64Array(CAPACITY),
    heap: new Int32Array(CAPACITY),
    // More than 64 bytes, because V8 may move smaller arrays.
    size: new Int32Array(32),
  };
}

/**
 * Returns a function that restores the heap's order after the timestamp of its first cursor has grown. A closure, because
 * V8 inlines it with the arrays' addresses.
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

/** Puts a cursor, whose timestamp is set, into the heap. */
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

/** Removes the heap's first cursor. The caller must then restore the order. */
export function dropRoot({ heap, size }: Columns): void {
  size[0]--;
  heap[0] = heap[size[0]];
}
