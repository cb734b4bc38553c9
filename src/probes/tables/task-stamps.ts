/**
 * Stores a time (stamp) and a number (tag) for each task, in a two-level table without hashing. Pids are 1 … 4,194,303
 * (PID_MAX_LIMIT, include/linux/threads.h). A chunk is the memory for 1024 consecutive pids, allocated when one of
 * these pids first gets a place. The table reuses chunks without stamps before it grows, so short-lived tasks do not
 * make it grow.
 *
 * All chunks are in one pair of arrays, so a look-up costs only two loads.
 */
import type { TimestampNs } from '../../model/time.ts';

const CHUNK_BITS = 10;
const CHUNK_SIZE = 1 << CHUNK_BITS;
const PID_BITS = 22;
/**
 * Number of chunks for which the table has memory at the start (768 KiB). When all chunks are in use, the table
 * searches for chunks without stamps. The search is slow, so it must be rare. With memory for only one chunk, two tasks
 * with distant pids could cause a search at every wake-up.
 */
const FIRST_ROOM = 64;

export class TaskStamps {
  /**
   * By place: the time of a task; 0 if the task has none. A place is an index in `stamps` and `tags`. Place 0 means "no
   * place" and is never written.
   */
  stamps = new Float64Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** By place: the number of a task. Valid only if the stamp at the same place is not 0. */
  tags = new Int32Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** By `pid >> CHUNK_BITS`: the first place of the chunk; 0 if the chunk is not allocated. */
  readonly #firsts = new Int32Array(1 << (PID_BITS - CHUNK_BITS));
  readonly #free: number[] = [];
  #used = CHUNK_SIZE;

  /** Number of chunks that were ever allocated, including free chunks that wait for reuse. */
  get chunks(): number {
    return (this.#used >> CHUNK_BITS) - 1;
  }

  /**
   * Returns a task's place, which the caller may read and clear until the next call of `place`. Returns 0 if the pid is
   * out of range or its chunk is not allocated.
   */
  at(pid: number): number {
    if (pid >>> PID_BITS !== 0) return 0;
    const first = this.#firsts[pid >> CHUNK_BITS];
    return first === 0 ? 0 : first + (pid & (CHUNK_SIZE - 1));
  }

  /**
   * Returns a task's place, which the caller may write until the next call of `place`. Allocates the chunk if
   * necessary. Returns 0 (do not write) if the pid is out of range.
   */
  place(pid: number): number {
    if (pid >>> PID_BITS !== 0 || pid === 0) return 0;
    let first = this.#firsts[pid >> CHUNK_BITS];
    if (first === 0) first = this.#take(pid >> CHUNK_BITS);
    return first + (pid & (CHUNK_SIZE - 1));
  }

  /** Returns a task's stamp; 0 if the task has none or the pid is out of range. */
  get(pid: number): TimestampNs {
    return this.stamps[this.at(pid)];
  }

  tag(pid: number): number {
    return this.tags[this.at(pid)];
  }

  /** Sets the stamp (not 0) and the number of a task. Ignores a pid that is out of range. */
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

  /** Clears all stamps before this time. */
  forgetBefore(untilNs: TimestampNs): void {
    for (let at = CHUNK_SIZE; at < this.#used; at++) if (this.stamps[at] < untilNs) this.stamps[at] = 0;
  }

  #take(chunk: number): number {
    if (this.#free.length === 0 && this.#used === this.stamps.length) {
      this.#reclaim();
      // If only a few chunks are free, another search would soon be necessary, so grow the table.
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

  /** Frees chunks without stamps. They can be reused without clearing, because all their stamps are 0. */
  #reclaim(): void {
    for (let chunk = 0; chunk < this.#firsts.length; chunk++) {
      const first = this.#firsts[chunk];
      if (first === 0 || this.#hasStamp(first)) continue;
      this.#free.push(first);
      this.#firsts[chunk] = 0;
    }
  }

  /**
   * Whether a chunk has a stamp. Checks all stamps of the chunk, because a counter per chunk would slow down every
   * write of a stamp.
   */
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
