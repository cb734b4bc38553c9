/**
 * Merges the pages of all CPUs into one stream ordered by time, and calls each event's handler. The *watermark* is a
 * time until which the caller has read the buffers of all CPUs. A *late* event is older than an earlier watermark.
 *
 * A page's header shows whether events before the page were lost. The caller must therefore add a CPU's next page, if
 * there is one, before the merge reaches the end of the current page.
 */
import type { PageLayout } from '../model/format.ts';
import type { TimestampNs } from '../model/time.ts';
import {
  type Columns,
  type Cursor,
  dropRoot,
  grown,
  makeColumns,
  makeCursor,
  makeSift,
  push,
} from './cursor.ts';
import type { Dispatcher } from './dispatch.ts';
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
import { makeRun, type Run } from './run.ts';

export interface MergeTarget {
  dispatcher: Dispatcher;
  /** Events of `cpu` before `untilNs` were lost. Can be called several times for one loss. */
  onLoss(cpu: number, untilNs: TimestampNs): void;
  /** `cause`: what a handler threw, if `error` is `handler_failed`. */
  onError(cpu: number, error: PageError, cause?: unknown): void;
}

export class Merger {
  readonly layout: PageLayout;
  /** Highest plausible timestamp. At a later timestamp, the merge drops the rest of the page. */
  latest: TimestampNs = Number.POSITIVE_INFINITY;
  #target: MergeTarget;
  readonly #byCpu = new Map<number, Cursor>();
  readonly #cursors: Cursor[] = [];
  #columns: Columns;
  #restoreOrder: () => void;
  readonly #pool: Page[] = [];
  #run: Run;
  #floor: TimestampNs = 0;

  /** `cpus`: expected number of CPUs. More CPUs work, but each growth of the arrays recompiles the loop. */
  constructor(layout: PageLayout, target: MergeTarget, cpus = 1) {
    this.layout = layout;
    this.#target = target;
    this.#columns = makeColumns(cpus);
    this.#restoreOrder = makeSift(this.#columns);
    this.#run = this.#runOf(target);
  }

  /** Replaces the target. Events that were not handled yet go to the new target. */
  retarget(target: MergeTarget): void {
    this.#target = target;
    this.#run = this.#runOf(target);
  }

  #runOf(target: MergeTarget): Run {
    return makeRun(target.dispatcher, this.#columns, (cpu) => target.onError(cpu, 'short_event'));
  }

  /** Returns a page. The caller must fill it and pass it to `add()`, or return it with `release()`. */
  takePage(): Page {
    return this.#pool.pop() ?? makePage(this.layout);
  }

  release(page: Page): void {
    this.#pool.push(page);
  }

  /** Frees pooled pages until at most `keep` remain. */
  trim(keep: number): void {
    if (this.#pool.length > keep) this.#pool.length = keep;
  }

  /** Parses the page's header and queues the page. Returns false and drops the events if the header is broken. */
  add(cpu: number, page: Page, length: number): boolean {
    const cursor = this.#cursor(cpu);
    const error = loadPage(page, this.layout, length);
    if (error !== undefined) {
      this.#target.onError(cpu, error);
      page.end = this.layout.dataOffset;
      // Report a loss, so that probes drop operations that began before it.
      page.lost = true;
      cursor.givenUp++;
    }
    cursor.queue.push(page);
    if (this.#columns.pages[cursor.at] === undefined && this.#advancePage(cursor))
      push(this.#columns, cursor.at);
    return error === undefined;
  }

  /** Passes all events up to `watermark` to their handlers. */
  run(watermark: TimestampNs): void {
    for (;;) {
      try {
        this.#merge(watermark);
        break;
      } catch (error) {
        // A bug in a handler must not stop the stream, and the next run must not start at the same event.
        this.#dropPage('handler_failed', error);
      }
    }
    if (watermark > this.#floor && watermark !== Number.POSITIVE_INFINITY) this.#floor = watermark;
  }

  /** Number of one CPU's decoded data events, with or without a handler. */
  events(cpu: number): number {
    const cursor = this.#byCpu.get(cpu);
    return cursor === undefined ? 0 : this.#columns.events[cursor.at];
  }

  flaggedLost(cpu: number): number {
    return this.#byCpu.get(cpu)?.flaggedLost ?? 0;
  }

  /** Number of one CPU's data events that were added but not decoded yet. */
  pendingEvents(cpu: number): number {
    const cursor = this.#byCpu.get(cpu);
    if (cursor === undefined) return 0;
    const current = this.#columns.pages[cursor.at];
    if (current === undefined) return 0;
    let count = countEvents(current, this.#columns.positions[cursor.at]);
    for (const page of cursor.queue) count += countEvents(page, this.layout.dataOffset);
    return count;
  }

  /** Number of one CPU's pages that were dropped, at least in part. No counter includes the dropped events. */
  givenUp(cpu: number): number {
    return this.#byCpu.get(cpu)?.givenUp ?? 0;
  }

  /** Number of late events of all CPUs. */
  lateEvents(): number {
    let late = 0;
    for (const { at } of this.#cursors) late += this.#columns.late[at];
    return late;
  }

  /** Number of pages that are queued or partly decoded. */
  pendingPages(): number {
    let pending = 0;
    for (const { at, queue } of this.#cursors) pending += queue.length + (this.#columns.pages[at] ? 1 : 0);
    return pending;
  }

  #cursor(cpu: number): Cursor {
    let cursor = this.#byCpu.get(cpu);
    if (cursor === undefined) {
      const at = this.#cursors.length;
      cursor = makeCursor(cpu, at);
      if (at === this.#columns.stamps.length) {
        this.#columns = grown(this.#columns);
        this.#restoreOrder = makeSift(this.#columns);
        this.#run = this.#runOf(this.#target);
      }
      this.#byCpu.set(cpu, cursor);
      this.#cursors.push(cursor);
      this.#columns.cpus[at] = cpu;
      this.#columns.pages[at] = undefined;
    }
    return cursor;
  }

  /** Runs the loop of `run.ts`. Whenever the loop stops inside a page or at its end, seeks the next data event. */
  #merge(watermark: TimestampNs): void {
    const run = this.#run;
    const { stamps, positions, pages, heap, size } = this.#columns;
    run.times[0] = watermark;
    run.times[1] = this.#floor;
    for (;;) {
      if (run.go()) {
        const at = heap[0];
        const cursor = this.#cursors[at];
        const isPlaced =
          this.#seek(cursor, pages[at] as Page, positions[at], stamps[at]) || this.#advancePage(cursor);
        if (!isPlaced) dropRoot(this.#columns);
        this.#restoreOrder();
      } else if (size[0] > 0 && stamps[heap[0]] > this.latest) this.#dropPage('implausible_time');
      else return;
    }
  }

  /**
   * Moves the cursor to the page's first data event at or after `from`. `since`: timestamp of the event before. Returns
   * false at the end of the page, or if the page is broken.
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
        // `size` includes its own word. A data event has at least one more word, with `common_type`.
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
    this.#columns.positions[cursor.at] = pos;
    this.#columns.stamps[cursor.at] = ts;
    return true;
  }

  #broken(cursor: Cursor, error: PageError): false {
    this.#target.onError(cursor.cpu, error);
    cursor.lossPending = true;
    cursor.givenUp++;
    return false;
  }

  /** Moves the cursor to the next data event in its queued pages. Returns false if there is none. */
  #advancePage(cursor: Cursor): boolean {
    for (;;) {
      const { pages, stamps } = this.#columns;
      const done = pages[cursor.at];
      if (done !== undefined) this.#pool.push(done);
      const page = cursor.queue.shift();
      pages[cursor.at] = page;
      if (page === undefined) {
        // The end of the loss is not known yet: `lossPending` stays set, so the next page reports the loss again.
        if (cursor.lossPending) this.#announceLoss(cursor);
        return false;
      }
      cursor.lossPending ||= page.lost;
      cursor.flaggedLost += page.lostCount;
      stamps[cursor.at] = page.timestampNs;
      if (!this.#seek(cursor, page, this.layout.dataOffset, page.timestampNs)) continue;
      if (cursor.lossPending) this.#announceLoss(cursor);
      cursor.lossPending = false;
      return true;
    }
  }

  #announceLoss(cursor: Cursor): void {
    this.#target.onLoss(cursor.cpu, Math.min(this.#columns.stamps[cursor.at], this.latest));
  }

  /** Drops the rest of the page of the heap's first cursor. */
  #dropPage(error: PageError, cause?: unknown): void {
    const cursor = this.#cursors[this.#columns.heap[0]];
    this.#target.onError(cursor.cpu, error, cause);
    cursor.lossPending = true;
    cursor.givenUp++;
    if (!this.#advancePage(cursor)) dropRoot(this.#columns);
    this.#restoreOrder();
  }
}
