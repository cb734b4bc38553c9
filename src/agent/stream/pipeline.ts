/** Reads every CPU's pages, merges the events by time, and calls the events' handlers. */
import { Merger } from '../../decode/merge.ts';
import { lastStamp, type Page, type PageError } from '../../decode/page.ts';
import type { PageLayout } from '../../model/format.ts';
import type { PageSource } from '../../model/source.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { EventPlan } from '../plan/plan.ts';
import type { EventStream, PhaseTimes } from './stream.ts';

/** Pages to read from one CPU before the next CPU. Limits memory use. */
const PAGES_PER_ROUND = 4;
/** A round reads more pages if these are small, because a system call costs more than copying 4 KiB. */
const LEAST_ROUND_BYTES = 64 << 10;
/** Larger pages are read one by one. Reading several with one system call was slower: docs/performance.md. */
const LARGEST_IN_BATCH = 16 << 10;
/** An event can become readable up to 0.3 ms after its timestamp, so a tick does not process the last 2 ms. */
export const SETTLE_NS = 2e6;
/** If a page's timestamp is later than the tick's start by more than this, the page is broken. */
const IMPLAUSIBLE_AHEAD_NS = 5e9;

export interface PipelineOptions {
  source: PageSource;
  layout: PageLayout;
  plan: Pick<EventPlan, 'dispatcher' | 'onLoss'>;
  onError(cpu: number, error: PageError, cause?: unknown): void;
  pagesPerRound?: number | undefined;
}

export class Pipeline implements EventStream {
  readonly merger: Merger;
  readonly spent: PhaseTimes = { readMs: 0, decodeMs: 0 };
  readonly #source: PageSource;
  readonly #pagesPerRound: number;
  /** Bytes of events that were read, by CPU, without page headers. */
  readonly #bytes: number[] = [];
  /** Timestamp of the last page read in this tick, by unfinished CPU; 0 if none was read. */
  readonly #readUpTo = new Map<number, TimestampNs>();
  /** Undefined if pages are read one by one. */
  readonly #readPages: PageSource['readPages'];
  readonly #batch: Page[] = [];
  /** The bytes of the pages in `#batch`. */
  readonly #into: Uint8Array[] = [];
  #onLoss: EventPlan['onLoss'];
  readonly #onError: PipelineOptions['onError'];
  /** End of the last interruption of recording. 0 if all events from before it have been processed. */
  #gapUntil: TimestampNs = 0;

  constructor(options: PipelineOptions) {
    this.#source = options.source;
    this.#pagesPerRound =
      options.pagesPerRound ?? Math.max(PAGES_PER_ROUND, LEAST_ROUND_BYTES / options.layout.pageSize);
    this.#readPages = options.layout.pageSize <= LARGEST_IN_BATCH ? options.source.readPages : undefined;
    this.#onLoss = options.plan.onLoss;
    this.#onError = options.onError;
    const target = { ...handlersOf(options.plan), onError: options.onError };
    this.merger = new Merger(options.layout, target, options.source.cpus().length);
  }

  replan(plan: PipelineOptions['plan']): void {
    this.#onLoss = plan.onLoss;
    this.merger.retarget({ ...handlersOf(plan), onError: this.#onError });
  }

  bytesRead(cpu: number): number {
    return this.#bytes[cpu] ?? 0;
  }

  events(cpu: number): number {
    return this.merger.events(cpu);
  }

  pendingEvents(cpu: number): number {
    return this.merger.pendingEvents(cpu);
  }

  givenUp(cpu: number): number {
    return this.merger.givenUp(cpu);
  }

  /** Drops open operations (begun but not ended) now, and again after the events before `untilNs` were processed. */
  voidUntil(untilNs: TimestampNs): void {
    this.#gapUntil = untilNs;
    this.#tellGap();
  }

  #tellGap(): void {
    for (const cpu of this.#source.cpus()) this.#onLoss(cpu, this.#gapUntil);
  }

  #run(watermark: TimestampNs): void {
    if (this.#gapUntil > 0 && watermark >= this.#gapUntil) {
      this.merger.run(this.#gapUntil);
      this.#tellGap();
      this.#gapUntil = 0;
    }
    this.merger.run(watermark);
  }

  flaggedLost(cpu: number): number {
    return this.merger.flaggedLost(cpu);
  }

  lateEvents(): number {
    return this.merger.lateEvents();
  }

  /**
   * Processes the events up to the watermark: no CPU has unread events from before this time. Returns true if all CPUs
   * are finished. A CPU is finished when it has no more pages, or when it returns a page from after `tickStart`. The
   * second condition ends the tick even if reading causes new events.
   */
  tick(tickStart: TimestampNs, maxRounds: number): boolean {
    const { merger, spent } = this;
    merger.latest = tickStart + IMPLAUSIBLE_AHEAD_NS;
    const pending = this.#readUpTo;
    pending.clear();
    for (const cpu of this.#source.cpus()) pending.set(cpu, 0);
    let sinceMs = performance.now();
    for (let round = 0; pending.size > 0 && round < maxRounds; round++) {
      let lowest = Number.POSITIVE_INFINITY;
      for (const stamp of pending.values()) if (stamp < lowest) lowest = stamp;
      for (const [cpu, stamp] of pending) {
        // Otherwise the pages of idle CPUs would fill the memory while they wait for the pages of a busy CPU.
        if (stamp <= lowest && this.#readSome(cpu, tickStart)) pending.delete(cpu);
      }
      let watermark = tickStart - SETTLE_NS;
      for (const stamp of pending.values()) if (stamp < watermark) watermark = stamp;
      const readMs = performance.now();
      this.#run(watermark);
      spent.readMs += readMs - sinceMs;
      sinceMs = performance.now();
      spent.decodeMs += sinceMs - readMs;
    }
    merger.trim((this.#pagesPerRound + 2) * this.#source.cpus().length);
    return pending.size === 0;
  }

  /** Call this when nothing more will be recorded. */
  flush(): void {
    this.tick(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    this.#run(Number.POSITIVE_INFINITY);
  }

  /** Returns true if the CPU is finished for this tick. */
  #readSome(cpu: number, tickStart: TimestampNs): boolean {
    if (this.#readPages !== undefined) return this.#readBatch(this.#readPages, cpu, tickStart);
    for (let i = 0; i < this.#pagesPerRound; i++) {
      const page = this.merger.takePage();
      const length = this.#source.readPage(cpu, page.bytes);
      if (length === 0) {
        this.merger.release(page);
        return true;
      }
      if (this.#add(cpu, page, length, tickStart)) return true;
    }
    return false;
  }

  /** Reads several pages with one system call. */
  #readBatch(readPages: NonNullable<PageSource['readPages']>, cpu: number, tickStart: TimestampNs): boolean {
    const { merger } = this;
    const { pageSize } = merger.layout;
    for (let i = 0; i < this.#pagesPerRound; i++) {
      const page = merger.takePage();
      this.#batch[i] = page;
      this.#into[i] = page.bytes;
    }
    let bytes = readPages(cpu, this.#into);
    let isFinished = bytes < this.#pagesPerRound * pageSize;
    for (const page of this.#batch) {
      if (bytes === 0) merger.release(page);
      else if (this.#add(cpu, page, Math.min(bytes, pageSize), tickStart)) isFinished = true;
      bytes = Math.max(0, bytes - pageSize);
    }
    return isFinished;
  }

  /** Returns true if the page has events from after the start of the tick. */
  #add(cpu: number, page: Page, length: number, tickStart: TimestampNs): boolean {
    const { layout } = this.merger;
    if (!this.merger.add(cpu, page, length)) return false;
    this.#bytes[cpu] = (this.#bytes[cpu] ?? 0) + page.end - layout.dataOffset;
    if (page.timestampNs >= tickStart) return true;
    // The kernel may still write to a page that is not full, so its last event can be from after `tickStart`.
    const partFilled = page.end < layout.pageSize - (layout.pageSize >> 3);
    if (partFilled && lastStamp(page, layout) >= tickStart) return true;
    this.#readUpTo.set(cpu, page.timestampNs);
    return false;
  }
}

function handlersOf({ dispatcher, onLoss }: PipelineOptions['plan']): PipelineOptions['plan'] {
  return { dispatcher, onLoss };
}
