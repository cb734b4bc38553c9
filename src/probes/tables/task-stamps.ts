/**
 * A time and a number for each task, by pid: a table of two levels without hashing. The first stamp of a chunk of 1024
 * pids allocates the chunk. Chunks without stamps are reused before more memory is allocated, so short-lived tasks do
 * not make the table grow. Pids: 1 … 4,194,303 (PID_MAX_LIMIT, include/linux/threads.h).
 *
 * All chunks are in one pair of columns, so a look-up is two loads and doubles are never boxed.
 */
import type { TimestampNs } from '../../model/time.ts';

const CHUNK_BITS = 10;
const CHUNK_SIZE = 1 << CHUNK_BITS;
const PID_BITS = 22;
/**
 * Number of chunks allocated at the start (768 KiB). A search for empty chunks visits all 4096 chunks, so it must be
 * rare. With only one chunk allocated, two alternating idle tasks would cause a search at every wake-up.
 */
const FIRST_ROOM = 64;

export class TaskStamps {
  /** Time by place; 0 if none. Place 0 means "no place" and is never written. */
  stamps = new Float64Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** A number by place. It is valid only if the stamp is not 0. */
  tags = new Int32Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** First place of each chunk of pids; 0 if the chunk is not allocated. */
  readonly #firsts = new Int32Array(1 << (PID_BITS - CHUNK_BITS));
  readonly #free: number[] = [];
  #used = CHUNK_SIZE;

  /** Number of chunks in memory, including those that wait for reuse. */
  get chunks(): number {
    return (this.#used >> CHUNK_BITS) - 1;
  }

  /** Place of a task for reading and clearing; 0 if it has none. Valid until the next `place()`. */
  at(pid: number): number {
    if (pid >>> PID_BITS !== 0) return 0;
    const first = this.#firsts[pid >> CHUNK_BITS];
    return first === 0 ? 0 : first + (pid & (CHUNK_SIZE - 1));
  }

  /** Place of a task for writing, valid until the next `place()`. 0 if the pid is out of range: do not write there. */
  place(pid: number): number {
    if (pid >>> PID_BITS !== 0 || pid === 0) return 0;
    let first = this.#firsts[pid >> CHUNK_BITS];
    if (first === 0) first = this.#take(pid >> CHUNK_BITS);
    return first + (pid & (CHUNK_SIZE - 1));
  }

  /** The task's stamp; 0 if it has none or the pid is out of range. */
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
      // Few chunks are free, so the next search would come soon: allocate more.
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

  /** Frees chunks without a stamp. They contain only zeroes, so they can be reused as they are. */
  #reclaim(): void {
    for (let chunk = 0; chunk < this.#firsts.length; chunk++) {
      const first = this.#firsts[chunk];
      if (first === 0 || this.#hasStamp(first)) continue;
      this.#free.push(first);
      this.#firsts[chunk] = 0;
    }
  }

  /** Runs only when the table must grow. A counter per chunk would cost more: every stamp would update it. */
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
