/**
 * Handles operations whose start and end are consecutive records, such as syscalls during which nothing else happens.
 * This loop is separate from the loop over all events (run.ts), so that V8 can keep its state in registers. It looks up
 * the task and the series once for consecutive operations of the same kind.
 */
import { OUTSIDE_THE_HEAP } from './cursor.ts';
import type { Dispatcher } from './dispatch.ts';

export interface Pairs {
  /**
   * Elements 0 and 1: word index of the header of a record, and the record's timestamp. Element 2: latest timestamp that
   * `handle` may handle. An array, because V8 would pass the timestamps as objects.
   */
  readonly state: Float64Array;
  /**
   * Handles pairs of records from `state` on, as long as the pair's fast path can. The record in `state` must be plain
   * data (see page.ts) of the start's type. Returns the number of pairs. If it is not 0, `state` then has the header
   * after the last pair, and the timestamp of the last handled record. `end`: byte offset after the page's last event.
   */
  handle(words: Int32Array, end: number, cpu: number): number;
}

/** Maximum length of plain data, in words. */
const LONGEST = 28;

export function makePairs({ minLengths, calls, pair }: Dispatcher): Pairs {
  const { first, second, firstId, secondId, path } = pair;
  const { begin, matches, count } = path;
  const leastWords = (slot: number) => Math.max(1, Math.ceil((minLengths[slot] ?? 0) / 4));
  const [firstLeast, secondLeast] = [leastWords(first), leastWords(second)];
  const longest = LONGEST;
  const state = new Float64Array(OUTSIDE_THE_HEAP);
  const handle = (words: Int32Array, end: number, cpu: number): number => {
    const limit = state[2];
    const last = end >> 2;
    let next = state[0] | 0;
    let reached = state[1];
    // Without the time delta, because the timestamp of this record is known.
    let header = words[next] & 31;
    const length = header;
    if (length < firstLeast) return 0;
    let pairs = 0;
    let slot = -1;
    let model = 0;
    for (;;) {
      const at = next + 1;
      const endAt = at + length + 1;
      if ((header & 31) !== length || endAt > last || (words[at] & 0xffff) !== firstId) break;
      const endHeader = words[endAt - 1];
      const endLength = endHeader & 31;
      const after = endAt + endLength;
      if (endLength < secondLeast || endLength > longest || after > last) break;
      const ns = endHeader >>> 5;
      const now = reached + ((header >>> 5) + ns);
      if (now > limit || (words[endAt] & 0xffff) !== secondId) break;
      if (slot < 0 || !matches(words, at, endAt, model)) {
        slot = begin(words, at, now - ns, cpu);
        model = at;
        if (slot < 0 || !matches(words, at, endAt, at)) break;
      }
      if (!count(slot, ns)) break;
      pairs++;
      reached = now;
      next = after;
      header = words[next];
    }
    if (pairs === 0) return 0;
    calls[first] += pairs;
    calls[second] += pairs;
    state[0] = next;
    state[1] = reached;
    return pairs;
  };
  return { state, handle };
}
