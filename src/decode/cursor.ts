import type { Page } from './page.ts';

/** State of one CPU in the merge, except the timestamp and the offset of its pending event, which are in columns. */
export interface Cursor {
  cpu: number;
  /** Index into those columns. */
  at: number;
  queue: Page[];
  page: Page | undefined;
  /** Number of data events passed to handlers. */
  events: number;
  /** Number of lost events according to page flags. Shows where they were lost; the total is in `stats`. */
  flaggedLost: number;
  /** A page was dropped, so this CPU's next event comes after a loss. */
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
