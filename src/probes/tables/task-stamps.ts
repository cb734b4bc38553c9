/**
 * A stamp and a number for each task, by pid: a table of two levels without hashing. Chunks of 1024 pids are taken
 * when their first stamp is set; those without any are given back before more memory is taken, so that tasks that
 * come and go leave nothing behind. Pids: 1 … 4,194,303 (PID_MAX_LIMIT, include/linux/threads.h).
 *
 * All chunks lie in one pair of columns: a look-up is two loads, and doubles are never boxed.
 */
import type { TimestampNs } from '../../model/time.ts';

const CHUNK_BITS = 10;
const CHUNK_SIZE = 1 << CHUNK_BITS;
const PID_BITS = 22;
/**
 * Chunks there is room for from the start (768 KiB). Looking for empty ones goes through all 4096 chunks of pids, so it
 * must be worth it: with room for one, two idle tasks that take turns would pay for it at every wake-up.
 */
const FIRST_ROOM = 64;

export class TaskStamps {
  /** Stamp by place; 0 for none. Place 0 stands for tasks that have no place: it is never written. */
  stamps = new Float64Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** A number beside the stamp, by place; means nothing where there is no stamp. */
  tags = new Int32Array((1 + FIRST_ROOM) * CHUNK_SIZE);
  /** First place of each chunk of pids; 0 for the chunks that have none. */
  readonly #firsts = new Int32Array(1 << (PID_BITS - CHUNK_BITS));
  readonly #free: number[] = [];
  #used = CHUNK_SIZE;

  /** Chunks that memory is held for, those waiting for use included. */
  get chunks(): number {
    return (this.#used >> CHUNK_BITS) - 1;
  }

  /** Place of a task for reading and clearing, until the next `place()`; one without a stamp may have none: 0. */
  at(pid: number): number {
    if (pid >>> PID_BITS !== 0) return 0;
    const first = this.#firsts[pid >> CHUNK_BITS];
    return first === 0 ? 0 : first + (pid & (CHUNK_SIZE - 1));
  }

  /** Place of a task for writing, until the next `place()`; 0 for a pid out of range: write nothing there. */
  place(pid: number): number {
    if (pid >>> PID_BITS !== 0 || pid === 0) return 0;
    let first = this.#firsts[pid >> CHUNK_BITS];
    if (first === 0) first = this.#take(pid >> CHUNK_BITS);
    return first + (pid & (CHUNK_SIZE - 1));
  }

  /** The task's stamp; 0 when it has none, or when the pid is out of range. */
  get(pid: number): TimestampNs {
    return this.stamps[this.at(pid)];
  }

  tag(pid: number): number {
    return this.tags[this.at(pid)];
  }

  /** Sets stamp (not 0) and number; a pid out of range is passed over, and later has no stamp. */
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
      // Few came back: there would be another search soon.
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

  /** Takes back the chunks without a stamp: all zeroes again, they can be used as they are. */
  #reclaim(): void {
    for (let chunk = 0; chunk < this.#firsts.length; chunk++) {
      const first = this.#firsts[chunk];
      if (first === 0 || this.#hasStamp(first)) continue;
      this.#free.push(first);
      this.#firsts[chunk] = 0;
    }
  }

  /** Looked at only when memory runs out: a count kept at every stamp would cost more. */
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
