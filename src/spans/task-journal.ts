/**
 * Remembers how tasks came back to a CPU while they were in a watched call, in one ring for all tasks. A slow call reads
 * it back to its own start, along chains of tasks whose pids have the same low bits. 3.7 MiB.
 */
import type { SwitchIn } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import { COMM_WORDS, CpuHistory, type Culprit, commText } from './cpu-history.ts';
import { MoveJournal } from './move-journal.ts';

/** Powers of two. */
const DEPTH = 1 << 15;
const CHAINS = 1 << 12;
/** A shorter wait does not need the task that ran instead. */
export const CULPRIT_NS = 20_000;

/** A time off the CPU. */
export interface Absence {
  outNs: TimestampNs;
  isSeen: boolean;
  /** 0 if not known. */
  runnableNs: TimestampNs;
  inNs: TimestampNs;
  state: number;
  taskClass: number;
  cpu: number;
  queueCpu: number;
  waker: number;
  wakerCpu: number;
  wakerWokenNs: TimestampNs;
  wakerWaker: number;
  wakerWokenCpu: number;
  culprit: Culprit | undefined;
}

export class TaskJournal {
  readonly history: CpuHistory;
  readonly moves = new MoveJournal();
  readonly #pids = new Int32Array(DEPTH);
  readonly #cpus = new Int32Array(DEPTH);
  readonly #outs = new Float64Array(DEPTH);
  readonly #isUnseen = new Uint8Array(DEPTH);
  readonly #runnables = new Float64Array(DEPTH);
  readonly #ins = new Float64Array(DEPTH);
  readonly #states = new Int32Array(DEPTH);
  readonly #classes = new Uint8Array(DEPTH);
  readonly #queueCpus = new Int32Array(DEPTH);
  readonly #wakers = new Int32Array(DEPTH);
  readonly #wakerCpus = new Int32Array(DEPTH);
  readonly #wakerWokens = new Float64Array(DEPTH);
  readonly #wakerWakers = new Int32Array(DEPTH);
  readonly #wakerWokenCpus = new Int32Array(DEPTH);
  readonly #comms = new Int32Array(DEPTH * COMM_WORDS);
  /** Tasks that ran during waits of at least `CULPRIT_NS`; pid 0 if none. */
  readonly #culprits = new Int32Array(DEPTH);
  readonly #culpritNs = new Float64Array(DEPTH);
  readonly #culpritComms = new Int32Array(DEPTH * COMM_WORDS);
  /** By low bits of the pid, and by entry: number of the newest entry in the chain, and of the one before it. */
  readonly #last = new Float64Array(CHAINS);
  readonly #before = new Float64Array(DEPTH);
  #count = 0;

  constructor(cpuCount: number) {
    this.history = new CpuHistory(cpuCount);
  }

  add(task: SwitchIn, words: Int32Array, commAt: number): void {
    const at = this.#count & (DEPTH - 1);
    this.#count++;
    const chain = task.pid & (CHAINS - 1);
    this.#before[at] = this.#last[chain];
    this.#last[chain] = this.#count;
    this.#pids[at] = task.pid;
    this.#cpus[at] = task.cpu;
    this.#outs[at] = task.outNs;
    this.#isUnseen[at] = task.isSeen ? 0 : 1;
    this.#runnables[at] = task.runnableNs;
    this.#ins[at] = task.inNs;
    this.#states[at] = task.state;
    this.#classes[at] = task.taskClass;
    this.#queueCpus[at] = task.queueCpu;
    this.#wakers[at] = task.waker;
    this.#wakerCpus[at] = task.wakerCpu;
    this.#wakerWokens[at] = task.wakerWokenNs;
    this.#wakerWakers[at] = task.wakerWaker;
    this.#wakerWokenCpus[at] = task.wakerWokenCpu;
    const comm = at * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) this.#comms[comm + i] = words[commAt + i];
    this.#culprits[at] = 0;
    if (task.runnableNs === 0 || task.inNs - task.runnableNs < CULPRIT_NS) return;
    const { result } = this.history;
    if (!this.history.find(task.queueCpu, task.runnableNs, task.inNs)) return;
    this.#culprits[at] = result.pid;
    this.#culpritNs[at] = result.ranNs;
    for (let i = 0; i < COMM_WORDS; i++) this.#culpritComms[comm + i] = result.comm[i];
  }

  /**
   * Times off the CPU of a task since then, oldest first. `comm`: its last name, '' if it was never off. `whole`: false
   * if older ones may have been overwritten.
   */
  since(pid: number, fromNs: TimestampNs): { absences: Absence[]; comm: string; whole: boolean } {
    const absences: Absence[] = [];
    let comm = '';
    for (let n = this.#newest(pid, fromNs); n !== 0; n = this.#earlier(n, pid, fromNs)) {
      const at = (n - 1) & (DEPTH - 1);
      if (absences.length === 0) comm = commText(this.#comms, at * COMM_WORDS);
      absences.push(this.#absence(at));
    }
    return { absences: absences.reverse(), comm, whole: this.#goesBackTo(fromNs) };
  }

  /** How long a task slept since then, in states with one of these bits. */
  sleptNs(pid: number, fromNs: TimestampNs, states: number): number {
    let ns = 0;
    for (let n = this.#newest(pid, fromNs); n !== 0; n = this.#earlier(n, pid, fromNs)) {
      const at = (n - 1) & (DEPTH - 1);
      if ((this.#states[at] & states) !== 0) ns += (this.#runnables[at] || this.#ins[at]) - this.#outs[at];
    }
    return ns;
  }

  /** Number of a task's newest entry since then; 0 if none. */
  #newest(pid: number, fromNs: TimestampNs): number {
    return this.#own(this.#last[pid & (CHAINS - 1)], pid, fromNs);
  }

  #earlier(n: number, pid: number, fromNs: TimestampNs): number {
    return this.#own(this.#before[(n - 1) & (DEPTH - 1)], pid, fromNs);
  }

  /** First entry of the task from here on, back along the chain; 0 if none. */
  #own(from: number, pid: number, fromNs: TimestampNs): number {
    for (let n = from; n > this.#count - DEPTH && n > 0; ) {
      const at = (n - 1) & (DEPTH - 1);
      // An unseen return was reported later than it happened, so it may still be within the time.
      if (this.#ins[at] <= fromNs && this.#isUnseen[at] === 0) return 0;
      if (this.#pids[at] === pid && this.#outs[at] >= fromNs) return n;
      n = this.#before[at];
    }
    return 0;
  }

  /** Whether all entries since then are still there. */
  #goesBackTo(fromNs: TimestampNs): boolean {
    if (this.#count < DEPTH) return true;
    for (let i = 0; i < DEPTH; i++) {
      const at = (this.#count + i) & (DEPTH - 1);
      if (this.#isUnseen[at] === 0) return this.#ins[at] <= fromNs;
    }
    return false;
  }

  #absence(at: number): Absence {
    const comm = at * COMM_WORDS;
    const culprit = { pid: this.#culprits[at], ranNs: this.#culpritNs[at] };
    return {
      outNs: this.#outs[at],
      isSeen: this.#isUnseen[at] === 0,
      runnableNs: this.#runnables[at],
      inNs: this.#ins[at],
      state: this.#states[at],
      taskClass: this.#classes[at],
      cpu: this.#cpus[at],
      queueCpu: this.#queueCpus[at],
      waker: this.#wakers[at],
      wakerCpu: this.#wakerCpus[at],
      wakerWokenNs: this.#wakerWokens[at],
      wakerWaker: this.#wakerWakers[at],
      wakerWokenCpu: this.#wakerWokenCpus[at],
      culprit: culprit.pid === 0 ? undefined : { ...culprit, comm: commText(this.#culpritComms, comm) },
    };
  }
}
