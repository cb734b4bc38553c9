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
import type { EventRecord } from '../model/record.ts';
import type { TimestampNs } from '../model/time.ts';
import { type Dispatcher, UNHANDLED } from './dispatch.ts';
import {
  absoluteStamp,
  countEvents,
  loadPage,
  makePage,
  PADDING,
  type Page,
  type PageError,
  TIME_EXTEND,
  TIME_STAMP,
  TWO_POW_27,
} from './page.ts';

/** Less than any two stamps differ by, until doubles cannot tell (then nothing is lost but the count of one). */
const LATE_EPSILON_NS = 0.5;

export interface MergeTarget {
  dispatcher: Dispatcher;
  /** Events of `cpu` were lost before the one at `untilNs`. */
  onLoss(cpu: number, untilNs: TimestampNs): void;
  /** `cause` is what a handler threw. */
  onError(cpu: number, error: PageError, cause?: unknown): void;
}

/** State of one CPU but for what the inner loop keeps: see `#ts` and `#pos`. */
interface Cursor {
  cpu: number;
  /** Place in the columns. */
  at: number;
  queue: Page[];
  page: Page | undefined;
  /** Data events handed out. */
  events: number;
  /** Events lost as the page flags count them: where, never how many in all (that is `stats`). */
  flaggedLost: number;
  /** A page was given up: what comes next on this CPU comes after a loss. */
  lossPending: boolean;
  late: number;
  /** Pages of which a part could not be handed out. */
  givenUp: number;
}

export class Merger {
  readonly layout: PageLayout;
  /** A stamp past this cannot be: the rest of its page is dropped and counted. Set it before adding pages. */
  latest: TimestampNs = Number.POSITIVE_INFINITY;
  readonly #target: MergeTarget;
  readonly #byCpu = new Map<number, Cursor>();
  readonly #cursors: Cursor[] = [];
  /** By cursor: stamp and byte offset of its pending event. Columns, so that doubles are stored unboxed. */
  #ts = new Float64Array(8);
  #pos = new Int32Array(8);
  /** Binary heap of the cursors (their places) that have a pending event, lowest stamp first. */
  #heap = new Int32Array(8);
  #heapSize = 0;
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
      cursor.givenUp++;
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
    for (;;) {
      try {
        this.#merge(watermark);
        break;
      } catch (error) {
        // A handler's defect must not stop the stream; its page is given up, so that this cannot repeat for ever.
        this.#dropPage('handler_failed', error);
      }
    }
    if (watermark > this.#floor && watermark !== Number.POSITIVE_INFINITY) this.#floor = watermark;
  }

  /** Data events handed out so far, by CPU. */
  events(cpu: number): number {
    return this.#byCpu.get(cpu)?.events ?? 0;
  }

  flaggedLost(cpu: number): number {
    return this.#byCpu.get(cpu)?.flaggedLost ?? 0;
  }

  /** Data events of one CPU that were read and wait for the watermark. */
  pendingEvents(cpu: number): number {
    const cursor = this.#byCpu.get(cpu);
    if (cursor?.page === undefined) return 0;
    let count = countEvents(cursor.page, this.#pos[cursor.at]);
    for (const page of cursor.queue) count += countEvents(page, this.layout.dataOffset);
    return count;
  }

  /** Pages of one CPU of which a part could not be handed out: its events are in no count. */
  givenUp(cpu: number): number {
    return this.#byCpu.get(cpu)?.givenUp ?? 0;
  }

  /** Events handed out after the watermark had passed them, all CPUs. */
  lateEvents(): number {
    let late = 0;
    for (const cursor of this.#cursors) late += cursor.late;
    return late;
  }

  /** Pages waiting for the watermark. */
  pendingPages(): number {
    let pending = 0;
    for (const cursor of this.#cursors) pending += cursor.queue.length + (cursor.page ? 1 : 0);
    return pending;
  }

  #cursor(cpu: number): Cursor {
    let cursor = this.#byCpu.get(cpu);
    if (cursor === undefined) {
      const at = this.#cursors.length;
      cursor = {
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
      this.#byCpu.set(cpu, cursor);
      this.#cursors.push(cursor);
      if (at === this.#ts.length) this.#growColumns();
    }
    return cursor;
  }

  #growColumns(): void {
    const length = this.#ts.length * 2;
    const [ts, pos, heap] = [new Float64Array(length), new Int32Array(length), new Int32Array(length)];
    ts.set(this.#ts);
    pos.set(this.#pos);
    heap.set(this.#heap);
    [this.#ts, this.#pos, this.#heap] = [ts, pos, heap];
  }

  /**
   * The loop every event passes through, hence one function with its state in locals: the first cursor of the heap
   * hands out events while their stamp is at most that of the next cursor, then takes its new place.
   */
  #merge(watermark: TimestampNs): void {
    const { dispatcher } = this.#target;
    const { slots, minLengths } = dispatcher;
    const record = this.#record;
    const floor = this.#floor;
    const stamps = this.#ts;
    const heap = this.#heap;
    while (this.#heapSize > 0) {
      const at = heap[0];
      let ts = stamps[at];
      if (ts > watermark) {
        if (ts <= this.latest) return;
        this.#dropPage('implausible_time');
        continue;
      }
      let limit = watermark;
      if (this.#heapSize > 1 && stamps[heap[1]] < limit) limit = stamps[heap[1]];
      if (this.#heapSize > 2 && stamps[heap[2]] < limit) limit = stamps[heap[2]];
      const isLate = ts < floor;
      // Late ones have a run of their own, so that none of the others need be asked.
      if (isLate && limit >= floor) limit = floor - LATE_EPSILON_NS;
      const cursor = this.#cursors[at];
      let page = cursor.page as Page;
      let words = page.words;
      let { end } = page;
      record.cpu = cursor.cpu;
      record.words = words;
      record.bytes = page.bytes;
      let pos = this.#pos[at];
      let handedOut = 0;
      do {
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
        const slot = slots[words[payload >> 2] & 0xffff];
        if (slot !== UNHANDLED) {
          if (length >= minLengths[slot]) {
            record.offset = payload;
            record.length = length;
            record.timestampNs = ts;
            dispatcher.call(slot, record);
          } else {
            this.#target.onError(cursor.cpu, 'short_event');
          }
        }
        // The quick way to a plain data event behind this one; anything else takes #seek.
        const header = words[next >> 2];
        const dataLen = header & 31;
        if (dataLen >= 1 && dataLen <= 28 && next + 4 + (dataLen << 2) <= end) {
          pos = next;
          ts += header >>> 5;
          continue;
        }
        if (!this.#seek(cursor, page, next, ts) && !this.#advancePage(cursor)) break;
        page = cursor.page as Page;
        words = page.words;
        end = page.end;
        record.words = words;
        record.bytes = page.bytes;
        pos = this.#pos[at];
        ts = stamps[at];
        // A page can be older than the one before it; then its events are late, and have a run of their own.
        if (ts < floor && !isLate) break;
      } while (ts <= limit);
      cursor.events += handedOut;
      if (isLate) cursor.late += handedOut;
      if (cursor.page === undefined) {
        this.#popRoot();
      } else {
        this.#pos[at] = pos;
        stamps[at] = ts;
        this.#siftDown();
      }
    }
  }

  /**
   * Moves the cursor to the next data event of its page, from `from` on, with `since` the stamp before it.
   * False at the end of the page, or where the page is broken.
   */
  #seek(cursor: Cursor, page: Page, from: number, since: TimestampNs): boolean {
    const { words, end } = page;
    let pos = from;
    let ts = since;
    while (pos < end) {
      const header = words[pos >> 2];
      const type = header & 31;
      const delta = header >>> 5;
      if (type >= 1 && type <= 28) {
        if (pos + 4 + (type << 2) > end) return this.#broken(cursor, 'event_past_end');
        return this.#standOn(cursor, pos, ts + delta);
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
        if (type === 0) return this.#standOn(cursor, pos, ts + delta);
        ts += delta;
        pos += 4 + ((size + 3) & ~3);
      }
    }
    return false;
  }

  #standOn(cursor: Cursor, pos: number, ts: TimestampNs): true {
    this.#pos[cursor.at] = pos;
    this.#ts[cursor.at] = ts;
    return true;
  }

  #broken(cursor: Cursor, error: PageError): false {
    this.#target.onError(cursor.cpu, error);
    cursor.lossPending = true;
    cursor.givenUp++;
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
        if (cursor.lossPending) this.#tellLoss(cursor);
        return false;
      }
      cursor.lossPending ||= page.lost;
      cursor.flaggedLost += page.lostCount;
      this.#ts[cursor.at] = page.timestampNs;
      if (!this.#seek(cursor, page, this.layout.dataOffset, page.timestampNs)) continue;
      if (cursor.lossPending) this.#tellLoss(cursor);
      cursor.lossPending = false;
      return true;
    }
  }

  #tellLoss(cursor: Cursor): void {
    this.#target.onLoss(cursor.cpu, Math.min(this.#ts[cursor.at], this.latest));
  }

  /** Gives up the rest of the page of the heap's first cursor. */
  #dropPage(error: PageError, cause?: unknown): void {
    const cursor = this.#cursors[this.#heap[0]];
    this.#target.onError(cursor.cpu, error, cause);
    cursor.lossPending = true;
    cursor.givenUp++;
    if (this.#advancePage(cursor)) this.#siftDown();
    else this.#popRoot();
  }

  #push(cursor: Cursor): void {
    const heap = this.#heap;
    const ts = this.#ts;
    let i = this.#heapSize++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (ts[heap[parent]] <= ts[cursor.at]) break;
      heap[i] = heap[parent];
      i = parent;
    }
    heap[i] = cursor.at;
  }

  #popRoot(): void {
    this.#heapSize--;
    if (this.#heapSize === 0) return;
    this.#heap[0] = this.#heap[this.#heapSize];
    this.#siftDown();
  }

  #siftDown(): void {
    const heap = this.#heap;
    const ts = this.#ts;
    const n = this.#heapSize;
    const at = heap[0];
    const stamp = ts[at];
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && ts[heap[child + 1]] < ts[heap[child]]) child++;
      if (ts[heap[child]] >= stamp) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = at;
  }
}
