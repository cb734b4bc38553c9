/**
 * Tracks block requests in flight. `find` drops requests whose current state began before the end of the last loss of
 * events. If the table is full, `add` evicts the oldest request.
 */
import type { TimestampNs } from '../../model/time.ts';
import { type RequestState, RequestTable } from './request-table.ts';

export type RequestsInFlight = ReturnType<typeof requestsInFlight>;

/** The tracker calls `lost` for each dropped request and `evicted` for each evicted request. */
export function requestsInFlight(capacity: number, lost: () => void, evicted: () => void) {
  const table = new RequestTable(capacity);
  let lostUntil: TimestampNs = 0;
  let dropped = 0;
  const evict = (entry: number): void => {
    table.remove(entry);
    evicted();
  };
  return {
    table,
    /** Returns the first request with this key and state; -1 if there is none. */
    find: (dev: number, sector: number, operation: number, state: RequestState): number => {
      let match = table.find(dev, sector, operation, state);
      while (match >= 0 && table.since(match) < lostUntil) {
        table.remove(match);
        lost();
        dropped++;
        match = table.find(dev, sector, operation, state);
      }
      return match;
    },
    /** Returns how many requests `find` has dropped since the start. */
    dropped: () => dropped,
    add: (
      dev: number,
      sector: number,
      operation: number,
      state: RequestState,
      now: TimestampNs,
      pid = 0,
    ): number => {
      if (table.full) evict(table.oldest);
      return table.add(dev, sector, operation, state, now, pid);
    },
    voidUntil: (untilNs: TimestampNs): void => {
      if (untilNs > lostUntil) lostUntil = untilNs;
    },
    evictIf: (isTooOld: (entry: number) => boolean): void => {
      for (let entry = table.oldest; entry >= 0; ) {
        const next = table.newerThan(entry);
        if (isTooOld(entry)) evict(entry);
        entry = next;
      }
    },
  };
}
