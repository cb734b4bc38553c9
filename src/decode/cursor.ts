import type { Page } from './page.ts';

/** State of one CPU in the merge. `Merger` keeps timestamp and offset of the CPU's pending event in typed arrays. */
export interface Cursor {
  cpu: number;
  /** Index of this CPU in the typed arrays of `Merger`. */
  at: number;
  queue: Page[];
  page: Page | undefined;
  /** Number of data events decoded, with or without a handler. */
  events: number;
  /** Sum of the loss counts in pages. Can be less than `BufferStats.overrun`, because some pages have no loss count. */
  flaggedLost: number;
  /** Whether events were lost before the next event, so that `onLoss` must be called with the next event's time. */
  lossPending: boolean;
  late: number;
  /** Number of pages dropped entirely or in part. */
  givenUp: number;
}

export function makeCursor(cpu: number, at: number): Cursor {
  return {
    cpu,
    at,
    queue: [],
    page: undefined,
    events: 0,
    flaggedLost: 0,
    lossPending: false,
    late: 0,
    givenUp: 0,
  };
}
