/**
 * The loop that every event goes through: passes on the events of one page.
 *
 * It is a separate closure with few local variables. Inside the merge, V8 kept position and time in memory because of
 * the calls there, and read typed arrays from fields again for each event.
 */
import type { EventRecord } from '../model/record.ts';
import { type Dispatcher, UNHANDLED } from './dispatch.ts';
import type { Page } from './page.ts';

export interface Run {
  /** Element 0: offset of the pending event, which is a data event inside the page. Element 1: see `go()`. */
  readonly pos: Int32Array;
  /** Element 0: time of the pending event. Element 1: the time up to which events are passed on. */
  readonly ts: Float64Array;
  /** The view of the current event; the caller sets `cpu`. */
  readonly record: EventRecord;
  /**
   * Passes on the pending event and the following events, up to the limit. Returns their number. If `pos[1]` is then 1, the
   * next event is pending and later than the limit. Otherwise the caller must continue at `pos[0]`, because the page ends
   * or the next event is not plain data; `ts[0]` is then the time of the last event.
   */
  go(page: Page): number;
}

/** Words of arrays with few values: V8 knows the address of an array only if it is larger than 64 bytes. */
const OUTSIDE_THE_HEAP = 32;

export function makeRun(dispatcher: Dispatcher, onShort: () => void): Run {
  const { slots, minLengths, usual, call, pair } = dispatcher;
  const { first, second, handle } = pair;
  const [firstLength, secondLength] = [minLengths[first] ?? 0, minLengths[second] ?? 0];
  // An imported constant would be read from memory at each use.
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
  // By slot, because V8 would inline a single function with all handlers into the loop, and then keep its state in memory.
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
      // As long as events are usual, everything stays in registers.
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
          // A length of up to 112 bytes means that the header is one of plain data.
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
