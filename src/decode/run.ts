/**
 * The hot loop of the merge: passes *plain data* (events of type 1 to 28, see page.ts) to the handlers. At any other
 * event, the loop returns to merge.ts, which defines cursors, watermark and late events. A *slot* is the number of an
 * event type's handler (dispatch.ts). The loop is a closure over constant arrays, so that V8 compiles in their
 * addresses.
 */
import type { EventRecord } from '../model/record.ts';
import { type Columns, makeSift, OUTSIDE_THE_HEAP } from './cursor.ts';
import { type Dispatcher, UNHANDLED } from './dispatch.ts';
import type { Page } from './page.ts';
import { makePairs } from './pairs.ts';

export interface Run {
  /** Element 0: the watermark. Element 1: the highest earlier watermark, before which events count as late. */
  readonly times: Float64Array;
  /** Passed to a handler if no fast path handled the event. */
  readonly record: EventRecord;
  /**
   * Handles events until no cursor has an event up to the watermark, and then returns false. Returns true earlier if
   * the heap's first cursor is at the end of its page, or at something other than plain data. The caller must then move
   * this cursor to its next data event, and restore the order of the heap. The cursor's timestamp is that of its last
   * handled event.
   */
  go(): boolean;
}

/** Less than the difference between any two different timestamps. Above 2^53 ns, late events are miscounted. */
const LATE_EPSILON_NS = 0.5;

export function makeRun(dispatcher: Dispatcher, columns: Columns, onShort: (cpu: number) => void): Run {
  const { slots, minLengths, usual, call, pair } = dispatcher;
  const { first } = pair;
  const { state, handle } = makePairs(dispatcher);
  const { stamps, positions, pages, cpus, events, late, heap, size: heapSize } = columns;
  // A local copy, because V8 would load an imported constant from memory at each use.
  const unhandled = UNHANDLED;
  const times = new Float64Array(OUTSIDE_THE_HEAP);
  const limitOf = makeLimit(columns, times);
  const restore = makeSift(columns);
  const record = emptyRecord();
  // One closure per slot. If the slots shared one, V8 would inline all handlers and keep the loop's state in memory.
  const outside = Array.from(minLengths, () => (slot: number): void => {
    if (record.length >= minLengths[slot]) call(slot, record);
    else onShort(record.cpu);
  });
  const go = (): boolean => {
    for (;;) {
      if (heapSize[0] === 0) return false;
      const cursor = heap[0];
      let now = stamps[cursor];
      if (now > times[0]) return false;
      const limit = limitOf(now);
      const page = pages[cursor] as Page;
      const { words, end } = page;
      const cpu = cpus[cursor];
      let at = positions[cursor];
      let type = words[at >> 2] & 31;
      let count = 0;
      let isPlain: boolean;
      for (;;) {
        let rare = 0;
        // While fast paths handle all events, the loop's state stays in registers.
        for (;;) {
          let payload = at + 4;
          let size = type << 2;
          at = payload + size;
          if (type === 0) {
            const length = words[payload >> 2];
            at = payload + ((length + 3) & ~3);
            payload += 4;
            size = length - 4;
          }
          count++;
          const word = payload >> 2;
          const slot = slots[words[word] & 0xffff];
          let pairs = 0;
          if (slot === first && type !== 0) {
            state[0] = word - 1;
            state[1] = now;
            state[2] = limit;
            pairs = handle(words, end, cpu);
          }
          if (pairs > 0) {
            count += pairs * 2 - 1;
            at = state[0] << 2;
            now = state[1];
          } else if (slot !== unhandled && !usual(slot, size, words, word, now, cpu)) {
            record.offset = payload;
            record.length = size;
            record.timestampNs = now;
            rare = slot;
          }
          const header = words[at >> 2];
          type = header & 31;
          isPlain = type >= 1 && type <= 28 && at + 4 + (type << 2) <= end;
          if (!isPlain) break;
          now += header >>> 5;
          if (rare !== 0 || now > limit) break;
        }
        if (rare === 0) break;
        if (record.words !== words) {
          record.words = words;
          record.bytes = page.bytes;
        }
        record.cpu = cpu;
        outside[rare](rare);
        if (!isPlain || now > limit) break;
      }
      events[cursor] += count;
      // Without a branch: V8 would discard the compiled loop at the first late event.
      late[cursor] += stamps[cursor] < times[1] ? count : 0;
      positions[cursor] = at;
      stamps[cursor] = now;
      if (!isPlain) return true;
      restore();
    }
  };
  return { times, go, record };
}

/**
 * Makes a function that returns the time up to which the loop can handle the first cursor's events without comparisons.
 */
function makeLimit({ stamps, heap, size }: Columns, times: Float64Array) {
  const epsilon = LATE_EPSILON_NS;
  return (start: number): number => {
    const cursors = size[0];
    let limit = times[0];
    if (cursors > 1 && stamps[heap[1]] < limit) limit = stamps[heap[1]];
    if (cursors > 2 && stamps[heap[2]] < limit) limit = stamps[heap[2]];
    // Stop before the first event that is not late: then all counted events are late, or none is.
    return start < times[1] && limit >= times[1] ? times[1] - epsilon : limit;
  };
}

function emptyRecord(): EventRecord {
  return {
    words: new Int32Array(0),
    bytes: new Uint8Array(0),
    offset: 0,
    length: 0,
    cpu: 0,
    timestampNs: 0,
  };
}
