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
  /** Element 0: offset of the pending event, which is a data event inside the page. */
  readonly pos: Int32Array;
  /** Element 0: time of the pending event. Element 1: the time up to which events are passed on. */
  readonly ts: Float64Array;
  /** The view of the current event; the caller sets `cpu`. */
  readonly record: EventRecord;
  /**
   * Passes on the pending event and the following events, up to the limit. Returns their number; the next event is then
   * pending and later than the limit. Returns a negative number if the caller must continue at `pos`, because the page
   * ends or the next event is not plain data; `ts` is then the time of the last event.
   */
  go(page: Page): number;
}

/** Words of arrays with few values: V8 knows the address of an array only if it is larger than 64 bytes. */
const OUTSIDE_THE_HEAP = 32;

export function makeRun(dispatcher: Dispatcher, onShort: () => void): Run {
  const { slots, minLengths, call } = dispatcher;
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
  const go = (page: Page): number => {
    const { words, end } = page;
    const limit = ts[1];
    record.words = words;
    record.bytes = page.bytes;
    let at = pos[0];
    let now = ts[0];
    let size = (words[at >> 2] & 31) << 2;
    let count = 0;
    do {
      let payload = at + 4;
      let next = payload + size;
      if (size === 0) {
        const length = words[payload >> 2];
        payload += 4;
        size = length - 4;
        next = at + 4 + ((length + 3) & ~3);
      }
      count++;
      const slot = slots[words[payload >> 2] & 0xffff];
      if (slot !== unhandled) {
        if (size >= minLengths[slot]) {
          record.offset = payload;
          record.length = size;
          record.timestampNs = now;
          call(slot, record);
        } else onShort();
      }
      const header = words[next >> 2];
      const type = header & 31;
      at = next;
      size = type << 2;
      if (type === 0 || type > 28 || next + 4 + size > end) {
        pos[0] = at;
        ts[0] = now;
        return -count;
      }
      now += header >>> 5;
    } while (now <= limit);
    pos[0] = at;
    ts[0] = now;
    return count;
  };
  return { pos, ts, go, record };
}
