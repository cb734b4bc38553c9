/**
 * What tasks went through while they were in a watched call: how each came back on a CPU, in one ring for all tasks,
 * youngest last. A slow call looks back in it as far as its own start. 2.3 MiB.
 */
import type { SwitchIn } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import { COMM_WORDS, CpuHistory, type Culprit, commText } from './cpu-history.ts';

/** A power of two. */
const DEPTH = 1 << 15;
/** Waits that are shorter say nothing about who ran instead. */
const CULPRIT_NS = 20_000;

/** A time off the CPU. */
export interface Absence {
  outNs: TimestampNs;
  isSeen: boolean;
  /** 0: not known. */
  runnableNs: TimestampNs;
  inNs: TimestampNs;
  state: number;
  cpu: number;
  waker: number;
  wakerCpu: number;
  wakerWokenNs: TimestampNs;
  wakerWokenCpu: number;
  culprit: Culprit | undefined;
}

export class TaskJournal {
  readonly history: CpuHistory;
  readonly #pids = new Int32Array(DEPTH);
  readonly #cpus = new Int32Array(DEPTH);
  readonly #outs = new Float64Array(DEPTH);
  readonly #isUnseen = new Uint8Array(DEPTH);
  readonly #runnables = new Float64Array(DEPTH);
  readonly #ins = new Float64Array(DEPTH);
  readonly #states = new Int32Array(DEPTH);
  readonly #wakers = new Int32Array(DEPTH);
  readonly #wakerCpus = new Int32Array(DEPTH);
  readonly #wakerWokens = new Float64Array(DEPTH);
  readonly #wakerWokenCpus = new Int32Array(DEPTH);
  readonly #comms = new Int32Array(DEPTH * COMM_WORDS);
  /** Of waits that are long enough to have one. */
  readonly #culprits = new Map<number, Culprit>();
  #count = 0;

  constructor(cpuCount: number) {
    this.history = new CpuHistory(cpuCount);
  }

  add(task: SwitchIn, words: Int32Array, commAt: number): void {
    const at = this.#count & (DEPTH - 1);
    this.#count++;
    if (this.#culprits.size > 0) this.#culprits.delete(at);
    this.#pids[at] = task.pid;
    this.#cpus[at] = task.cpu;
    this.#outs[at] = task.outNs;
    this.#isUnseen[at] = task.isSeen ? 0 : 1;
    this.#runnables[at] = task.runnableNs;
    this.#ins[at] = task.inNs;
    this.#states[at] = task.state;
    this.#wakers[at] = task.waker;
    this.#wakerCpus[at] = task.wakerCpu;
    this.#wakerWokens[at] = task.wakerWokenNs;
    this.#wakerWokenCpus[at] = task.wakerWokenCpu;
    const comm = at * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) this.#comms[comm + i] = words[commAt + i];
    if (task.runnableNs === 0 || task.inNs - task.runnableNs < CULPRIT_NS) return;
    const culprit = this.history.culprit(task.queueCpu, task.runnableNs, task.inNs);
    if (culprit !== undefined) this.#culprits.set(at, culprit);
  }

  /**
   * Times off the CPU of a task since then, the first one first; `comm`: what it last called itself, '' where it was
   * never off. `whole`: false where older ones may have been overwritten.
   */
  since(pid: number, fromNs: TimestampNs): { absences: Absence[]; comm: string; whole: boolean } {
    const absences: Absence[] = [];
    let comm = '';
    const kept = Math.min(DEPTH, this.#count);
    for (let i = 1; i <= kept; i++) {
      const at = (this.#count - i) & (DEPTH - 1);
      const isUnseen = this.#isUnseen[at] === 1;
      // One that was not seen to come back was told of later than it did.
      if (this.#ins[at] <= fromNs && !isUnseen) return { absences: absences.reverse(), comm, whole: true };
      if (this.#pids[at] !== pid || this.#outs[at] < fromNs) continue;
      if (absences.length === 0) comm = commText(this.#comms, at * COMM_WORDS);
      absences.push({
        outNs: this.#outs[at],
        isSeen: !isUnseen,
        runnableNs: this.#runnables[at],
        inNs: this.#ins[at],
        state: this.#states[at],
        cpu: this.#cpus[at],
        waker: this.#wakers[at],
        wakerCpu: this.#wakerCpus[at],
        wakerWokenNs: this.#wakerWokens[at],
        wakerWokenCpu: this.#wakerWokenCpus[at],
        culprit: this.#culprits.get(at),
      });
    }
    return { absences: absences.reverse(), comm, whole: kept < DEPTH };
  }
}
