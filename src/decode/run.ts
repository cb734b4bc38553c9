/**
 * The hot loop: passes the events of one page to their handlers.
 *
 * The loop is a separate closure with few local variables, so that V8 keeps its state in registers. In a method of
 * `Merger`, V8 would load position, time and typed arrays from memory for each event.
 */
import type { EventRecord } from '../model/record.ts';
import { type Dispatcher, UNHANDLED } from './dispatch.ts';
import type { Page } from './page.ts';

export interface Run {
  /** Element 0: offset of the pending event, which must be a data event inside the page. Element 1: see `go()`. */
  readonly pos: Int32Array;
  /** Element 0: time of the pending event. Element 1: the limit, also a time. */
  readonly ts: Float64Array;
  /** The current event. The caller sets `cpu`. */
  readonly record: EventRecord;
  /**
   * Handles the pending event and those after it, up to the limit, and returns their number. `pos[1]` is then
   * - 1 if an event later than the limit is pending; `pos[0]` and `ts[0]` are its offset and time.
   * - 0 if the page ends or no plain data follows. The caller must decode what is at `pos[0]`, and `ts[0]` is the time
   *   of the last event.
   */
  go(page: Page): number;
}

/** V8 stores typed arrays of more than 64 bytes outside its heap, where their fixed address makes access faster. */
const OUTSIDE_THE_HEAP = 32;

export function makeRun(dispatcher: Dispatcher, onShort: () => void): Run {
  const { slots, minLengths, usual, call, pair } = dispatcher;
  const { first, second, handle } = pair;
  const [firstLength, secondLength] = [minLengths[first] ?? 0, minLengths[second] ?? 0];
  // Copy the constant, because V8 would load an imported one from memory at each use.
  const unhandled = UNHANDLED;
  const pos = new Int32Array(OUTSIDE_THE_HEAP);
  const ts = new Float64Array(OUTSIDE_THE_HEAP);
  const record: EventRecord = {
    words: new Int32Array(0),
    bytes: new Uint8Array(0),
    offset: 0,
    length: 0,
    cpu: 0,
    timestampNs: 0,
  };
  // One closure per slot. V8 would inline a shared closure with all handlers and then keep the loop's state in memory.
  const outside = Array.from(minLengths, () => (slot: number): void => {
    if (record.length >= minLengths[slot]) call(slot, record);
    else onShort();
  });
  const go = (page: Page): number => {
    const { words, end } = page;
    const { cpu } = record;
    const limit = ts[1];
    record.words = words;
    record.bytes = page.bytes;
    let at = pos[0];
    let now = ts[0];
    let type = words[at >> 2] & 31;
    let count = 0;
    for (;;) {
      let rare = 0;
      let isPlain: boolean;
      // While all events take a fast path, the loop's state stays in registers.
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
        let isPair = false;
        if (slot === first && size >= firstLength) {
          const header = words[at >> 2];
          const endAt = (at >> 2) + 1;
          const endSize = (header & 31) << 2;
          const ns = header >>> 5;
          // Plain data has the types 1 to 28, that is, sizes from 4 to 112 bytes.
          const isPlainNext = endSize > 0 && endSize <= 112 && at + 4 + endSize <= end;
          if (isPlainNext && endSize >= secondLength && now + ns <= limit)
            if (slots[words[endAt] & 0xffff] === second && handle(words, word, endAt, now, ns, cpu)) {
              isPair = true;
              count++;
              at += 4 + endSize;
              now += ns;
            }
        }
        if (slot !== unhandled && !isPair && !usual(slot, size, words, word, now, cpu)) {
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
      if (rare !== 0) {
        outside[rare](rare);
        if (isPlain && now <= limit) continue;
      }
      pos[0] = at;
      pos[1] = isPlain ? 1 : 0;
      ts[0] = now;
      return count;
    }
  };
  return { pos, ts, go, record };
}
