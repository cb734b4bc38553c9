/** Stores the slot of each thread's container in one byte. Untouched pages of the table need no memory. */
import { SURPLUS, UNKNOWN } from '../model/containers.ts';

/** PID_MAX_LIMIT (include/linux/threads.h). */
const PIDS = 4194304;
const PAGE_BITS = 12;

export class TaskSlots {
  readonly table = new Uint8Array(PIDS);
  readonly #used = new Uint8Array(PIDS >> PAGE_BITS);
  /** Number of look-ups that returned `UNKNOWN`, and number of look-ups that returned `SURPLUS`. */
  readonly #counts = new Float64Array(2);

  readonly miss = (slot: number): void => {
    this.#counts[slot]++;
  };

  peek(tid: number): number {
    return tid > 0 && tid < PIDS ? this.table[tid] : UNKNOWN;
  }

  set(tid: number, slot: number): void {
    if (!(tid > 0 && tid < PIDS)) return;
    this.table[tid] = slot;
    this.#used[tid >> PAGE_BITS] = 1;
  }

  /** Returns the thread ids of each slot except `UNKNOWN` and `SURPLUS`. */
  bySlot(): Map<number, number[]> {
    const all = new Map<number, number[]>();
    for (let tid = 0; tid < PIDS; tid++) {
      const slot = this.table[tid];
      if (slot <= SURPLUS) continue;
      const tids = all.get(slot);
      if (tids === undefined) all.set(slot, [tid]);
      else tids.push(tid);
    }
    return all;
  }

  clear(): void {
    this.#ofUsed((page) => page.fill(UNKNOWN));
    this.#used.fill(0);
  }

  /** Moves all threads from one slot to another. */
  replace(slot: number, by: number): void {
    this.#ofUsed((page) => {
      for (let at = page.indexOf(slot); at >= 0; at = page.indexOf(slot, at + 1)) page[at] = by;
    });
  }

  readonly missed = (): { unknown: number; surplus: number } => ({
    unknown: this.#counts[UNKNOWN],
    surplus: this.#counts[SURPLUS],
  });

  #ofUsed(work: (page: Uint8Array) => void): void {
    for (let page = 0; page < this.#used.length; page++)
      if (this.#used[page] !== 0) work(this.table.subarray(page << PAGE_BITS, (page + 1) << PAGE_BITS));
  }
}
