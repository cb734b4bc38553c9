/** A ring buffer (64 KiB) that records when a waiting task moved to the run queue of another CPU. */
import type { TimestampNs } from '../model/time.ts';

/** Must be a power of two, because `DEPTH - 1` is a bit mask. */
const DEPTH = 1 << 12;

/** The part of a wait that a task spent in the queue of one CPU. */
export interface Queued {
  cpu: number;
  startNs: TimestampNs;
  endNs: TimestampNs;
}

export class MoveJournal {
  readonly #pids = new Int32Array(DEPTH);
  readonly #cpus = new Int32Array(DEPTH);
  readonly #stamps = new Float64Array(DEPTH);
  #count = 0;

  add(pid: number, cpu: number, atNs: TimestampNs): void {
    const at = this.#count++ & (DEPTH - 1);
    this.#pids[at] = pid;
    this.#cpus[at] = cpu;
    this.#stamps[at] = atNs;
  }

  /** Returns the run queues in which a task waited, in time order. The wait began in the queue of `cpu`. */
  queues(pid: number, { cpu, startNs, endNs }: Queued): Queued[] {
    const queues: Queued[] = [];
    let untilNs = endNs;
    for (let i = 1; i <= Math.min(DEPTH, this.#count); i++) {
      const at = (this.#count - i) & (DEPTH - 1);
      const movedNs = this.#stamps[at];
      if (movedNs <= startNs) break;
      if (this.#pids[at] !== pid || movedNs >= untilNs) continue;
      queues.push({ cpu: this.#cpus[at], startNs: movedNs, endNs: untilNs });
      untilNs = movedNs;
    }
    queues.push({ cpu, startNs, endNs: untilNs });
    return queues.reverse();
  }
}
