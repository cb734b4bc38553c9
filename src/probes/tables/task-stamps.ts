/**
 * Stores a time (stamp) and a number (tag) per task, in a two-level table without hashing. Pids are 1 … 4,194,303
 * (PID_MAX_LIMIT in include/linux/threads.h). A *place* is a task's index in the arrays of stamps and tags. A
 * *chunk* is the part of the arrays for 1024 consecutive pids. A look-up costs only two loads.
 */
import type { TimestampNs } from '../../model/time.ts';

const CHUNK_BITS = 10;
const CHUNK_SIZE = 1 << CHUNK_BITS;
const PID_BITS = 22;
/**
 * Chunks at the start (768 KiB). When all are in use, the table searches for chunks without stamps. The search is slow,
 * and a small table could need it at every wake-up.
 */
const FIRST_ROOM = 64;

export class TaskStamps {
  /** By place: the time of a task; 0 if none. Place 0 means "no place" and is never written. */
  stamps = new Float64Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** By place: the number of a task. Valid only if the stamp is not 0. */
  tags = new Int32Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** By `pid >> CHUNK_BITS`: first place of the chunk; 0 if not allocated. */
  readonly #firsts = new Int32Array(1 << (PID_BITS - CHUNK_BITS));
  readonly #free: number[] = [];
  #used = CHUNK_SIZE;

  /** Number of chunks ever allocated, including free chunks. */
  get chunks(): number {
    return (this.#used >> CHUNK_BITS) - 1;
  }

  /** Returns a task's place to read or clear; 0 if the task has none. Valid until the next call of `place`. */
  at(pid: number): number {
    if (pid >>> PID_BITS !== 0) return 0;
    const first = this.#firsts[pid >> CHUNK_BITS];
    return first === 0 ? 0 : first + (pid & (CHUNK_SIZE - 1));
  }

  /**
   * Returns a task's place to write; 0 (do not write) if the pid is out of range. Valid until the next call of `place`.
   */
  place(pid: number): number {
    if (pid >>> PID_BITS !== 0 || pid === 0) return 0;
    let first = this.#firsts[pid >> CHUNK_BITS];
    if (first === 0) first = this.#take(pid >> CHUNK_BITS);
    return first + (pid & (CHUNK_SIZE - 1));
  }

  /** Returns a task's stamp; 0 if none. */
  get(pid: number): TimestampNs {
    return this.stamps[this.at(pid)];
  }

  tag(pid: number): number {
    return this.tags[this.at(pid)];
  }

  /** Sets the stamp (not 0) and tag of a task. Ignores a pid that is out of range. */
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

  forgetBefore(untilNs: TimestampNs): void {
    for (let at = CHUNK_SIZE; at < this.#used; at++) if (this.stamps[at] < untilNs) this.stamps[at] = 0;
  }

  #take(chunk: number): number {
    if (this.#free.length === 0 && this.#used === this.stamps.length) {
      this.#reclaim();
      // With few free chunks, another search would soon be necessary.
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

  /** Frees chunks without stamps. They need no clearing. */
  #reclaim(): void {
    for (let chunk = 0; chunk < this.#firsts.length; chunk++) {
      const first = this.#firsts[chunk];
      if (first === 0 || this.#hasStamp(first)) continue;
      this.#free.push(first);
      this.#firsts[chunk] = 0;
    }
  }

  /** Checks all stamps, because a counter per chunk would slow down every write. */
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
