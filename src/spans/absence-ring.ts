/**
 * Remembers times that tasks were off the CPU, in one ring for all tasks, youngest last. It is read back to a given time
 * along chains of tasks whose pids have the same low bits. 68 bytes an entry.
 */
import type { SwitchIn } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import { COMM_WORDS, type CommTexts } from './comm-texts.ts';

/** A power of two. */
const CHAINS = 1 << 12;

/** A time off the CPU. */
export interface Absence {
  /** Entry in the ring, for data that is kept beside it. */
  slot: number;
  /** 0 if that was not recorded. */
  outNs: TimestampNs;
  isSeen: boolean;
  /** 0 if not known. */
  runnableNs: TimestampNs;
  inNs: TimestampNs;
  state: number;
  taskClass: number;
  cpu: number;
  queueCpu: number;
  /** See `SwitchIn`. */
  wokenBy: number;
  waker: number;
  wakerCpu: number;
}

export class AbsenceRing {
  readonly #depth: number;
  readonly #texts: CommTexts;
  readonly #pids: Int32Array;
  readonly #cpus: Int32Array;
  readonly #outs: Float64Array;
  readonly #isUnseen: Uint8Array;
  readonly #runnables: Float64Array;
  readonly #ins: Float64Array;
  readonly #states: Uint16Array;
  readonly #classes: Uint8Array;
  readonly #queueCpus: Int16Array;
  readonly #codes: Uint16Array;
  readonly #wakers: Int32Array;
  readonly #wakerCpus: Int16Array;
  readonly #comms: Int32Array;
  /** By low bits of the pid, and by entry: number of the newest entry in the chain, and of the one before it. */
  readonly #last = new Float64Array(CHAINS);
  readonly #before: Float64Array;
  #count = 0;

  /** `depth`: a power of two. */
  constructor(depth: number, texts: CommTexts) {
    this.#depth = depth;
    this.#texts = texts;
    this.#pids = new Int32Array(depth);
    this.#cpus = new Int32Array(depth);
    this.#outs = new Float64Array(depth);
    this.#isUnseen = new Uint8Array(depth);
    this.#runnables = new Float64Array(depth);
    this.#ins = new Float64Array(depth);
    this.#states = new Uint16Array(depth);
    this.#classes = new Uint8Array(depth);
    this.#queueCpus = new Int16Array(depth);
    this.#codes = new Uint16Array(depth);
    this.#wakers = new Int32Array(depth);
    this.#wakerCpus = new Int16Array(depth);
    this.#comms = new Int32Array(depth * COMM_WORDS);
    this.#before = new Float64Array(depth);
  }

  /** Returns the entry. */
  add(task: SwitchIn, words: Int32Array, commAt: number): number {
    const at = this.#count & (this.#depth - 1);
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
    this.#codes[at] = task.wokenBy;
    this.#wakers[at] = task.waker;
    this.#wakerCpus[at] = task.wakerCpu;
    const comm = at * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) this.#comms[comm + i] = words[commAt + i];
    return at;
  }

  /**
   * Absences of a task that ended after `fromNs`, newest first, `most` at most. `whole`: false if older ones may be
   * missing, because they were overwritten or are too many.
   */
  since(pid: number, fromNs: TimestampNs, most = this.#depth): { absences: Absence[]; whole: boolean } {
    const absences: Absence[] = [];
    let n = this.#own(this.#last[pid & (CHAINS - 1)], pid, fromNs);
    for (; n !== 0 && absences.length < most; n = this.#earlier(n, pid, fromNs))
      absences.push(this.#absence((n - 1) & (this.#depth - 1)));
    return { absences, whole: n === 0 && this.#goesBackTo(fromNs) };
  }

  /** Time that a task was asleep since then, in states with one of these bits. */
  sleptNs(pid: number, fromNs: TimestampNs, states: number): number {
    let ns = 0;
    let n = this.#own(this.#last[pid & (CHAINS - 1)], pid, fromNs);
    for (; n !== 0; n = this.#earlier(n, pid, fromNs)) {
      const at = (n - 1) & (this.#depth - 1);
      if (this.#outs[at] < fromNs || (this.#states[at] & states) === 0) continue;
      ns += (this.#runnables[at] || this.#ins[at]) - this.#outs[at];
    }
    return ns;
  }

  /** Last name of a task; '' if it is not remembered. */
  commOf(pid: number): string {
    const n = this.#own(this.#last[pid & (CHAINS - 1)], pid, 0);
    return n === 0 ? '' : this.#texts.of(this.#comms, ((n - 1) & (this.#depth - 1)) * COMM_WORDS);
  }

  #earlier(n: number, pid: number, fromNs: TimestampNs): number {
    return this.#own(this.#before[(n - 1) & (this.#depth - 1)], pid, fromNs);
  }

  /** First entry of the task from here on, back along the chain; 0 if none. */
  #own(from: number, pid: number, fromNs: TimestampNs): number {
    for (let n = from; n > this.#count - this.#depth && n > 0; ) {
      const at = (n - 1) & (this.#depth - 1);
      const isOver = this.#ins[at] <= fromNs;
      // An unseen return was reported later than it happened, so earlier entries may still be within the time.
      if (isOver && this.#isUnseen[at] === 0) return 0;
      if (this.#pids[at] === pid && !isOver) return n;
      n = this.#before[at];
    }
    return 0;
  }

  /** Whether everything since then is still remembered. */
  #goesBackTo(fromNs: TimestampNs): boolean {
    const depth = this.#depth;
    if (this.#count < depth) return true;
    for (let i = 0; i < depth; i++) {
      const at = (this.#count + i) & (depth - 1);
      if (this.#isUnseen[at] === 0) return this.#ins[at] <= fromNs;
    }
    return false;
  }

  #absence(at: number): Absence {
    return {
      slot: at,
      outNs: this.#outs[at],
      isSeen: this.#isUnseen[at] === 0,
      runnableNs: this.#runnables[at],
      inNs: this.#ins[at],
      state: this.#states[at],
      taskClass: this.#classes[at],
      cpu: this.#cpus[at],
      queueCpu: this.#queueCpus[at],
      wokenBy: this.#codes[at],
      waker: this.#wakers[at],
      wakerCpu: this.#wakerCpus[at],
    };
  }
}
