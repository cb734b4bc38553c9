/**
 * Merges the pages of all CPUs into one stream in the order of time, up to a watermark, and hands every event to
 * the handler of its type. Pages in, calls out.
 *
 * Each CPU has a cursor that stands on its next event. The cursor with the lowest stamp runs until it passes the
 * next lowest: with bursts on one CPU that is one comparison an event. A loss is announced before any event that
 * lies within it is handed out, for a CPU's next page is known when its page before ends (or the CPU had caught up,
 * and then nothing was lost before the watermark).
 */
import type { PageLayout } from '../model/format.ts';
import type { EventHandler, EventRecord } from '../model/record.ts';
import type { TimestampNs } from '../model/time.ts';
import {
  absoluteStamp,
  loadPage,
  makePage,
  PADDING,
  type Page,
  type PageError,
  TIME_EXTEND,
  TIME_STAMP,
  TWO_POW_27,
} from './page.ts';

export interface MergeTarget {
  /** Handler by `common_type`; undefined: the event is counted and passed over. */
  handlers: readonly (EventHandler | undefined)[];
  /**
   * Bytes a record of each type must have for its handler to find all its fields (65,536 entries), so that field
   * readers need not check. A shorter one is counted and passed over.
   */
  minLengths: Uint16Array;
  /** Events of `cpu` were lost before the one at `untilNs`. */
  onLoss(cpu: number, untilNs: TimestampNs): void;
  /** `cause` is what a handler threw. */
  onError(cpu: number, error: PageError, cause?: unknown): void;
}

/** State of one CPU. `ts` is the stamp of the pending event, Infinity when there is none. */
interface Cursor {
  cpu: number;
  queue: Page[];
  page: Page | undefined;
  /** Header of the pending event. */
  pos: number;
  ts: TimestampNs;
  /** Data events handed out. */
  events: number;
  /** Events lost as the page flags count them: where, never how many in all (that is `stats`). */
  flaggedLost: number;
  /** A page was given up: what comes next on this CPU comes after a loss. */
  lossPending: boolean;
  late: number;
}

export class Merger {
  readonly layout: PageLayout;
  /** A stamp past this cannot be: the rest of its page is dropped and counted. Set it before adding pages. */
  latest: TimestampNs = Number.POSITIVE_INFINITY;
  readonly #target: MergeTarget;
  readonly #cursors = new Map<number, Cursor>();
  /** Binary heap of the cursors that have a pending event, lowest stamp first. */
  readonly #heap: Cursor[] = [];
  readonly #pool: Page[] = [];
  readonly #record: EventRecord;
  #floor: TimestampNs = 0;

  constructor(layout: PageLayout, target: MergeTarget) {
    this.layout = layout;
    this.#target = target;
    this.#record = {
      words: new Int32Array(0),
      bytes: new Uint8Array(0),
      offset: 0,
      length: 0,
      cpu: 0,
      timestampNs: 0,
    };
  }

  /** A page to fill and give to `add()`, or back by `release()`. */
  takePage(): Page {
    return this.#pool.pop() ?? makePage(this.layout);
  }

  release(page: Page): void {
    this.#pool.push(page);
  }

  /** Frees pages that are not in use, down to `keep`. */
  trim(keep: number): void {
    if (this.#pool.length > keep) this.#pool.length = keep;
  }

  /**
   * Queues a page of which `length` bytes were filled. Its header is read here: afterwards `page.timestampNs`
   * holds, unless the header is broken: then the page is counted, passed over, and the answer is false.
   */
  add(cpu: number, page: Page, length: number): boolean {
    const cursor = this.#cursor(cpu);
    const error = loadPage(page, this.layout, length);
    if (error !== undefined) {
      this.#target.onError(cpu, error);
      page.end = this.layout.dataOffset;
      // Its events are lost like any others: what lies before the next good page of this CPU is void.
      page.lost = true;
    }
    cursor.queue.push(page);
    if (cursor.page === undefined && this.#advancePage(cursor)) this.#push(cursor);
    return error === undefined;
  }

  /**
   * Hands out all events up to `watermark`. Events older than the watermark of the call before are handed out now
   * and counted as late.
   */
  run(watermark: TimestampNs): void {
    const heap = this.#heap;
    while (heap.length > 0) {
      const cursor = heap[0];
      if (cursor.ts > watermark) {
        if (cursor.ts <= this.latest) break;
        this.#dropPage(cursor, 'implausible_time');
        continue;
      }
      let limit = watermark;
      if (heap.length > 1 && heap[1].ts < limit) limit = heap[1].ts;
      if (heap.length > 2 && heap[2].ts < limit) limit = heap[2].ts;
      this.#runCursor(cursor, limit);
    }
    if (watermark > this.#floor && watermark !== Number.POSITIVE_INFINITY) this.#floor = watermark;
  }

  /** Data events handed out so far, by CPU. */
  events(cpu: number): number {
    return this.#cursors.get(cpu)?.events ?? 0;
  }

  flaggedLost(cpu: number): number {
    return this.#cursors.get(cpu)?.flaggedLost ?? 0;
  }

  /** Events handed out after the watermark had passed them, all CPUs. */
  lateEvents(): number {
    let late = 0;
    for (const cursor of this.#cursors.values()) late += cursor.late;
    return late;
  }

  /** Pages waiting for the watermark. */
  pendingPages(): number {
    let pending = 0;
    for (const cursor of this.#cursors.values()) pending += cursor.queue.length + (cursor.page ? 1 : 0);
    return pending;
  }

  #cursor(cpu: number): Cursor {
    let cursor = this.#cursors.get(cpu);
    if (cursor === undefined) {
      cursor = {
        cpu,
        queue: [],
        page: undefined,
        pos: 0,
        ts: Number.POSITIVE_INFINITY,
        events: 0,
        flaggedLost: 0,
        lossPending: false,
        late: 0,
      };
      this.#cursors.set(cpu, cursor);
    }
    return cursor;
  }

  #runCursor(cursor: Cursor, limit: TimestampNs): void {
    try {
      this.#handOut(cursor, limit);
    } catch (error) {
      // A handler's defect must not stop the stream; its page is given up, so that this cannot repeat for ever.
      this.#dropPage(cursor, 'handler_failed', error);
      return;
    }
    if (cursor.page === undefined) this.#popRoot();
    else this.#siftDown();
  }

  /**
   * Hands out events of one CPU while their stamp is at most `limit`; leaves the cursor on the first beyond it.
   * One loop with its state in locals: this is what every event passes through.
   */
  #handOut(cursor: Cursor, limit: TimestampNs): void {
    const record = this.#record;
    const { handlers, minLengths } = this.#target;
    const floor = this.#floor;
    record.cpu = cursor.cpu;
    let page = cursor.page as Page;
    let words = page.words;
    record.words = words;
    record.bytes = page.bytes;
    let pos = cursor.pos;
    let ts = cursor.ts;
    let handedOut = 0;
    while (ts <= limit) {
      // The pending event is a data event: #seek saw to that, and that it lies within the page.
      const typeLen = words[pos >> 2] & 31;
      let payload = pos + 4;
      let length = typeLen << 2;
      let next = payload + length;
      if (typeLen === 0) {
        const size = words[payload >> 2];
        payload += 4;
        length = size - 4;
        next = pos + 4 + ((size + 3) & ~3);
      }
      handedOut++;
      if (ts < floor) cursor.late++;
      const type = words[payload >> 2] & 0xffff;
      const handler = handlers[type];
      if (handler !== undefined) {
        if (length >= minLengths[type]) {
          record.offset = payload;
          record.length = length;
          record.timestampNs = ts;
          handler(record);
        } else {
          this.#target.onError(cursor.cpu, 'short_event');
        }
      }
      // The quick way to a plain data event behind this one; anything else takes #seek.
      const header = words[next >> 2];
      const dataLen = header & 31;
      if (dataLen >= 1 && dataLen <= 28 && next + 4 + (dataLen << 2) <= page.end) {
        pos = next;
        ts += header >>> 5;
        continue;
      }
      cursor.ts = ts;
      if (!this.#seek(cursor, page, next) && !this.#advancePage(cursor)) break;
      page = cursor.page as Page;
      words = page.words;
      record.words = words;
      record.bytes = page.bytes;
      pos = cursor.pos;
      ts = cursor.ts;
    }
    cursor.events += handedOut;
    if (cursor.page === undefined) return;
    cursor.pos = pos;
    cursor.ts = ts;
  }

  /**
   * Moves the cursor from `pos`, with `cursor.ts` the stamp before it, to the next data event of its page.
   * False at the end of the page, or where the page is broken.
   */
  #seek(cursor: Cursor, page: Page, from: number): boolean {
    const { words, end } = page;
    let pos = from;
    let ts = cursor.ts;
    while (pos < end) {
      const header = words[pos >> 2];
      const type = header & 31;
      const delta = header >>> 5;
      if (type >= 1 && type <= 28) {
        if (pos + 4 + (type << 2) > end) return this.#broken(cursor, 'event_past_end');
        cursor.pos = pos;
        cursor.ts = ts + delta;
        return true;
      }
      if (type === PADDING && delta === 0) return false;
      if (pos + 8 > end) return this.#broken(cursor, 'event_past_end');
      const word = words[(pos >> 2) + 1];
      if (type === TIME_EXTEND) {
        ts += delta + (word >>> 0) * TWO_POW_27;
        pos += 8;
      } else if (type === TIME_STAMP) {
        ts = absoluteStamp(delta, word, ts);
        pos += 8;
      } else {
        const size = word >>> 0;
        // At least its own word and, for data, the word that holds the event's type.
        if (size < (type === 0 ? 8 : 4)) return this.#broken(cursor, 'zero_length_event');
        if (size > end - pos - 4) return this.#broken(cursor, 'event_past_end');
        if (type === 0) {
          cursor.pos = pos;
          cursor.ts = ts + delta;
          return true;
        }
        ts += delta;
        pos += 4 + ((size + 3) & ~3);
      }
    }
    return false;
  }

  #broken(cursor: Cursor, error: PageError): false {
    this.#target.onError(cursor.cpu, error);
    cursor.lossPending = true;
    return false;
  }

  /** Puts the cursor on the first event of the next page that has one; false, and no page, when there is none. */
  #advancePage(cursor: Cursor): boolean {
    for (;;) {
      if (cursor.page !== undefined) this.#pool.push(cursor.page);
      const page = cursor.queue.shift();
      cursor.page = page;
      if (page === undefined) {
        // What is known of the loss already; its end is told when the next page comes.
        if (cursor.lossPending) this.#target.onLoss(cursor.cpu, Math.min(cursor.ts, this.latest));
        cursor.ts = Number.POSITIVE_INFINITY;
        return false;
      }
      cursor.lossPending ||= page.lost;
      cursor.flaggedLost += page.lostCount;
      cursor.ts = page.timestampNs;
      if (!this.#seek(cursor, page, this.layout.dataOffset)) continue;
      if (cursor.lossPending) this.#target.onLoss(cursor.cpu, Math.min(cursor.ts, this.latest));
      cursor.lossPending = false;
      return true;
    }
  }

  /** Gives up the rest of the page of the heap's first cursor. */
  #dropPage(cursor: Cursor, error: PageError, cause?: unknown): void {
    this.#target.onError(cursor.cpu, error, cause);
    cursor.lossPending = true;
    if (this.#advancePage(cursor)) this.#siftDown();
    else this.#popRoot();
  }

  #push(cursor: Cursor): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(cursor);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent].ts <= cursor.ts) break;
      heap[i] = heap[parent];
      i = parent;
    }
    heap[i] = cursor;
  }

  #popRoot(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown();
  }

  #siftDown(): void {
    const heap = this.#heap;
    const n = heap.length;
    const cursor = heap[0];
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && heap[child + 1].ts < heap[child].ts) child++;
      if (heap[child].ts >= cursor.ts) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = cursor;
  }
}
