/**
 * Writes sub-buffers with the layout of kernel/trace/ring_buffer.c: the counterpart of the decoder, for tests and
 * benchmarks.
 */
import type { PageLayout } from '../../src/model/format.ts';

export const LAYOUT_4K: PageLayout = {
  pageSize: 4096,
  timestampOffset: 0,
  commitOffset: 8,
  commitSize: 8,
  dataOffset: 16,
};

export interface WrittenEvent {
  /** Nanoseconds; not before the previous event. */
  ts: number;
  /** `common_type`. */
  type: number;
  /** Payload bytes after the first four, which contain `common_type`, flags and preempt count. */
  body?: Uint8Array;
  /** How the event is written; `auto` does what the kernel would. */
  as?: 'auto' | 'type0';
}

export interface PageOptions {
  layout?: PageLayout;
  lost?: boolean;
  /** Exact number of lost events, written after the data. */
  lostCount?: number;
  /** Timestamp of the page. Default: the timestamp of the first event. */
  pageTs?: number;
  /** Writes an absolute timestamp instead of the first delta. */
  absolute?: boolean;
}

/** Makes a page writer. `add()` returns false if the event does not fit into the page. */
export function pageWriter(options: PageOptions = {}) {
  const layout = options.layout ?? LAYOUT_4K;
  const bytes = new Uint8Array(layout.pageSize);
  const view = new DataView(bytes.buffer);
  let pos = layout.dataOffset;
  let last = options.pageTs;
  const setTime = (at: number, ns: number) => view.setBigUint64(at, BigInt(ns), true);
  if (last !== undefined) setTime(layout.timestampOffset, last);

  const stampWords = (type: number, value: number) => {
    view.setUint32(pos, (((value % 2 ** 27) << 5) | type) >>> 0, true);
    view.setUint32(pos + 4, Math.floor(value / 2 ** 27), true);
    pos += 8;
  };

  return {
    add(event: WrittenEvent): boolean {
      const body = event.body ?? new Uint8Array(4);
      const payload = 4 + body.length;
      const padded = (payload + 3) & ~3;
      const short = padded <= 112 && padded === payload && event.as !== 'type0';
      if (pos + 16 + padded + 8 > layout.pageSize) return false;
      if (last === undefined) {
        last = event.ts;
        setTime(layout.timestampOffset, last);
      }
      let delta = event.ts - last;
      if (options.absolute && pos === layout.dataOffset) {
        stampWords(31, event.ts % 2 ** 59);
        delta = 0;
      } else if (delta >= 2 ** 27) {
        stampWords(30, delta);
        delta = 0;
      }
      last = event.ts;
      view.setUint32(pos, ((delta << 5) | (short ? padded >> 2 : 0)) >>> 0, true);
      pos += 4;
      if (!short) {
        view.setUint32(pos, payload + 4, true);
        pos += 4;
      }
      view.setUint16(pos, event.type, true);
      bytes.set(body, pos + 4);
      pos += padded;
      return true;
    },
    /** Writes what the kernel leaves for an event that it reserved and then discarded: padding with a time delta. */
    discard(delta: number, payload: number): void {
      view.setUint32(pos, ((delta << 5) | 29) >>> 0, true);
      view.setUint32(pos + 4, payload + 4, true);
      pos += 8 + payload;
      last = (last ?? 0) + delta;
    },
    /** Writes padding up to the end of the page. */
    endPadding(): void {
      view.setUint32(pos, 29, true);
      pos += 4;
    },
    finish(): Uint8Array {
      const length = pos - layout.dataOffset;
      let commit = length;
      if (options.lost) commit = (commit | (1 << 31)) >>> 0;
      if (options.lostCount !== undefined) {
        commit = (commit | (1 << 30) | (1 << 31)) >>> 0;
        view.setUint32(pos, options.lostCount, true);
      }
      view.setUint32(layout.commitOffset, commit, true);
      return bytes;
    },
  };
}

/** Makes a page with these events. Throws if they do not all fit. */
export function pageOf(events: readonly WrittenEvent[], options: PageOptions = {}): Uint8Array {
  const writer = pageWriter(options);
  for (const event of events) if (!writer.add(event)) throw new Error('the events do not fit into one page');
  return writer.finish();
}
