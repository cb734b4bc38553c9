/**
 * A time and a number for each task, by pid: a table of two levels without hashing. A chunk of 1024 pids is taken with
 * its first stamp. Before more memory is taken, chunks without stamps are reused, so that tasks that come and go leave
 * nothing behind. Pids: 1 … 4,194,303 (PID_MAX_LIMIT, include/linux/threads.h).
 *
 * All chunks lie in one pair of columns: a look-up is two loads, and doubles are never boxed.
 */
import type { TimestampNs } from '../../model/time.ts';

const CHUNK_BITS = 10;
const CHUNK_SIZE = 1 << CHUNK_BITS;
const PID_BITS = 22;
/**
 * Chunks with room from the start (768 KiB). A search for empty ones visits all 4096 chunks of pids, so it must be
 * rare: with room for one, two idle tasks that take turns would cause one at every wake-up.
 */
const FIRST_ROOM = 64;

export class TaskStamps {
  /** Time by place; 0 if none. Place 0 stands for tasks without a place and is never written. */
  stamps = new Float64Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** A number by place; valid only with a stamp. */
  tags = new Int32Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** First place of each chunk of pids; 0 if the chunk has none. */
  readonly #firsts = new Int32Array(1 << (PID_BITS - CHUNK_BITS));
  readonly #free: number[] = [];
  #used = CHUNK_SIZE;

  /** Chunks with memory, those waiting for reuse included. */
  get chunks(): number {
    return (this.#used >> CHUNK_BITS) - 1;
  }

  /** Place of a task for reading and clearing, until the next `place()`; 0 if it has none. */
  at(pid: number): number {
    if (pid >>> PID_BITS !== 0) return 0;
    const first = this.#firsts[pid >> CHUNK_BITS];
    return first === 0 ? 0 : first + (pid & (CHUNK_SIZE - 1));
  }

  /** Place of a task for writing, until the next `place()`; 0 for a pid out of range: do not write there. */
  place(pid: number): number {
    if (pid >>> PID_BITS !== 0 || pid === 0) return 0;
    let first = this.#firsts[pid >> CHUNK_BITS];
    if (first === 0) first = this.#take(pid >> CHUNK_BITS);
    return first + (pid & (CHUNK_SIZE - 1));
  }

  /** The task's stamp; 0 if it has none, or for a pid out of range. */
  get(pid: number): TimestampNs {
    return this.stamps[this.at(pid)];
  }

  tag(pid: number): number {
    return this.tags[this.at(pid)];
  }

  /** Sets stamp (not 0) and number; ignores a pid out of range. */
  set(pid: number, stamp: TimestampNs, tag = 0): void {
    const at = this.place(pid);
    if (at === 0) return;
    this.stamps[at] = stamp;
    this.tags[at] = tag;
  }

  clear(pid: number): void {
    const at = this.at(pid);
    if (at !== 0) this.stamps[at] = 0;
  }

  /** Clears the stamps of all tasks that are older than this. */
  forgetBefore(untilNs: TimestampNs): void {
    for (let at = CHUNK_SIZE; at < this.#used; at++) if (this.stamps[at] < untilNs) this.stamps[at] = 0;
  }

  #take(chunk: number): number {
    if (this.#free.length === 0 && this.#used === this.stamps.length) {
      this.#reclaim();
      // Few chunks came back: the next search would come soon.
      if (this.#free.length < this.chunks / 2) this.#grow();
    }
    let first = this.#free.pop();
    if (first === undefined) {
      first = this.#used;
      this.#used += CHUNK_SIZE;
    }
    this.#firsts[chunk] = first;
    return first;
  }

  /** Takes back chunks without a stamp: they are all zeroes and can be reused as they are. */
  #reclaim(): void {
    for (let chunk = 0; chunk < this.#firsts.length; chunk++) {
      const first = this.#firsts[chunk];
      if (first === 0 || this.#hasStamp(first)) continue;
      this.#free.push(first);
      this.#firsts[chunk] = 0;
    }
  }

  /** Runs only when memory runs out: a count kept with every stamp would cost more. */
  #hasStamp(first: number): boolean {
    for (let at = first; at < first + CHUNK_SIZE; at++) if (this.stamps[at] !== 0) return true;
    return false;
  }

  #grow(): void {
    const stamps = new Float64Array(this.stamps.length * 2);
    stamps.set(this.stamps);
    this.stamps = stamps;
    const tags = new Int32Array(this.tags.length * 2);
    tags.set(this.tags);
    this.tags = tags;
  }
}
