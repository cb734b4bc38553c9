/** Remembers which waiting tasks were lately moved to the queue of another CPU, in one ring for all tasks. 64 KiB. */
import type { TimestampNs } from '../model/time.ts';

/** A power of two. */
const DEPTH = 1 << 12;

/** A part of a wait for a CPU: the time in the queue of one. */
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

  /** In whose queues a task was that began to wait in the queue of `cpu`, in order. */
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
