/** A ring buffer (160 KiB), shared by all kworkers, of the functions that they ran recently. */
import type { TimestampNs } from '../model/time.ts';

/** Must be a power of two, because `DEPTH - 1` is a bit mask. */
const DEPTH = 1 << 13;

export class WorkJournal {
  readonly #pids = new Int32Array(DEPTH);
  readonly #stamps = new Float64Array(DEPTH);
  readonly #lows = new Int32Array(DEPTH);
  readonly #highs = new Int32Array(DEPTH);
  #count = 0;

  /** Records the address of the function that a kworker began to run; 0 means that the function has ended. */
  add(pid: number, atNs: TimestampNs, low: number, high: number): void {
    const at = this.#count++ & (DEPTH - 1);
    this.#pids[at] = pid;
    this.#stamps[at] = atNs;
    this.#lows[at] = low;
    this.#highs[at] = high;
  }

  /** Clears the ring, because the lost events may show the start or end of a function. */
  lost(): void {
    this.#count = 0;
  }

  /** Returns the address of the function that a kworker was running; undefined if unknown, or if it ran none. */
  at(pid: number, atNs: TimestampNs): { low: number; high: number } | undefined {
    for (let i = 1; i <= Math.min(DEPTH, this.#count); i++) {
      const at = (this.#count - i) & (DEPTH - 1);
      if (this.#pids[at] !== pid || this.#stamps[at] > atNs) continue;
      const [low, high] = [this.#lows[at], this.#highs[at]];
      return low === 0 && high === 0 ? undefined : { low, high };
    }
    return undefined;
  }
}
