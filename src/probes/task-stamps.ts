/**
 * A stamp and a number for each task, by pid: a table of two levels without hashing. Chunks of 1024 pids are taken
 * when their first stamp is set and given back when their last is cleared, so that tasks that come and go leave
 * nothing behind. Pids: 1 … 4,194,303 (PID_MAX_LIMIT, include/linux/threads.h).
 */
import type { TimestampNs } from '../model/time.ts';

const CHUNK_BITS = 10;
const CHUNK_SIZE = 1 << CHUNK_BITS;
const PID_BITS = 22;

/** Stands for every chunk without a stamp, so that reading needs no check. Never written. */
const NO_STAMPS = new Float64Array(CHUNK_SIZE);
const NO_TAGS = new Int32Array(CHUNK_SIZE);

export class TaskStamps {
  readonly #stamps: Float64Array[] = new Array(1 << (PID_BITS - CHUNK_BITS)).fill(NO_STAMPS);
  readonly #tags: Int32Array[] = new Array(1 << (PID_BITS - CHUNK_BITS)).fill(NO_TAGS);
  /** Stamps that are set, by chunk. */
  readonly #live = new Uint16Array(1 << (PID_BITS - CHUNK_BITS));
  readonly #freeStamps: Float64Array[] = [];
  readonly #freeTags: Int32Array[] = [];
  #chunks = 0;

  /** Chunks that memory is held for, those waiting for use included. */
  get chunks(): number {
    return this.#chunks;
  }

  /** The task's stamp; 0 when it has none, or when the pid is out of range. */
  get(pid: number): TimestampNs {
    if (pid >>> PID_BITS !== 0) return 0;
    return this.#stamps[pid >> CHUNK_BITS][pid & (CHUNK_SIZE - 1)];
  }

  /** The number set with the stamp; means nothing when there is no stamp. */
  tag(pid: number): number {
    if (pid >>> PID_BITS !== 0) return 0;
    return this.#tags[pid >> CHUNK_BITS][pid & (CHUNK_SIZE - 1)];
  }

  /** Sets stamp (not 0) and number; a pid out of range is passed over, and later has no stamp. */
  set(pid: number, stamp: TimestampNs, tag = 0): void {
    if (pid >>> PID_BITS !== 0 || pid === 0) return;
    const at = pid >> CHUNK_BITS;
    let stamps = this.#stamps[at];
    if (stamps === NO_STAMPS) stamps = this.#take(at);
    const i = pid & (CHUNK_SIZE - 1);
    if (stamps[i] === 0) this.#live[at]++;
    stamps[i] = stamp;
    this.#tags[at][i] = tag;
  }

  clear(pid: number): void {
    if (pid >>> PID_BITS !== 0) return;
    const at = pid >> CHUNK_BITS;
    const stamps = this.#stamps[at];
    const i = pid & (CHUNK_SIZE - 1);
    if (stamps[i] === 0) return;
    stamps[i] = 0;
    if (--this.#live[at] === 0) this.#giveBack(at);
  }

  #take(at: number): Float64Array {
    const stamps = this.#freeStamps.pop() ?? new Float64Array(CHUNK_SIZE);
    const tags = this.#freeTags.pop();
    if (tags === undefined) this.#chunks++;
    this.#stamps[at] = stamps;
    this.#tags[at] = tags ?? new Int32Array(CHUNK_SIZE);
    return stamps;
  }

  #giveBack(at: number): void {
    // All its stamps are 0 again, so it can be used as it is.
    this.#freeStamps.push(this.#stamps[at]);
    this.#freeTags.push(this.#tags[at]);
    this.#stamps[at] = NO_STAMPS;
    this.#tags[at] = NO_TAGS;
  }
}
