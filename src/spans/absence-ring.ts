/**
 * A ring buffer of absences (periods in which a task was not running). The pid's low bits select a chain of entries.
 */
import type { SwitchIn } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import type { CommTexts } from './comm-texts.ts';

/** Must be a power of two, because `CHAINS - 1` is a bit mask. */
const CHAINS = 1 << 12;

export interface Absence extends Omit<SwitchIn, 'pid' | 'isWatched'> {
  /** Index of the entry in the ring. */
  slot: number;
}

/** Number of float64 fields per entry: three timestamps, and the number (`BEFORE`) of the chain's previous entry. */
const DOUBLES = 4;
const [OUT, RUNNABLE, IN, BEFORE] = [0, 1, 2, 3];
/** Number of int32 fields per entry. The four words from `COMM` on contain the task's name. */
const WORDS = 12;
const [PID, CPU, QUEUE_CPU, STATE, CLASS, CODE, WAKER, WAKER_CPU, COMM] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
/** Flag in the word `CLASS`: no event showed the task's return to a CPU. */
const UNSEEN = 1 << 8;
/** Bit position of the lock in the word `CLASS`. The stored value is `lock` plus 1, so that 0 means no lock. */
const LOCK_SHIFT = 9;

export class AbsenceRing {
  readonly #depth: number;
  readonly #texts: CommTexts;
  readonly #doubles: Float64Array;
  readonly #words: Int32Array;
  /** Number of the newest entry of each chain, counted from 1; 0 means an empty chain. Index: low bits of the pid. */
  readonly #last = new Float64Array(CHAINS);
  #count = 0;

  /** `depth` must be a power of two, because `depth - 1` is a bit mask. */
  constructor(depth: number, texts: CommTexts) {
    this.#depth = depth;
    this.#texts = texts;
    this.#doubles = new Float64Array(depth * DOUBLES);
    this.#words = new Int32Array(depth * WORDS);
  }

  /** Records an absence. Returns the index of the entry in the ring. */
  add(task: SwitchIn, words: Int32Array, commAt: number): number {
    const at = this.#count & (this.#depth - 1);
    this.#count++;
    const chain = task.pid & (CHAINS - 1);
    const doubles = this.#doubles;
    const d = at * DOUBLES;
    doubles[d + OUT] = task.outNs;
    doubles[d + RUNNABLE] = task.runnableNs;
    doubles[d + IN] = task.inNs;
    doubles[d + BEFORE] = this.#last[chain];
    this.#last[chain] = this.#count;
    const own = this.#words;
    const w = at * WORDS;
    own[w + PID] = task.pid;
    own[w + CPU] = task.cpu;
    own[w + QUEUE_CPU] = task.queueCpu;
    own[w + STATE] = task.state;
    own[w + CLASS] = task.taskClass | (task.isSeen ? 0 : UNSEEN) | ((task.lock + 1) << LOCK_SHIFT);
    own[w + CODE] = task.wokenBy;
    own[w + WAKER] = task.waker;
    own[w + WAKER_CPU] = task.wakerCpu;
    own[w + COMM] = words[commAt];
    own[w + COMM + 1] = words[commAt + 1];
    own[w + COMM + 2] = words[commAt + 2];
    own[w + COMM + 3] = words[commAt + 3];
    return at;
  }

  /** Returns a task's absences that ended after `fromNs`, newest first. `whole` is false if some may be missing. */
  since(pid: number, fromNs: TimestampNs, most = this.#depth): { absences: Absence[]; whole: boolean } {
    const absences: Absence[] = [];
    let n = this.#own(this.#last[pid & (CHAINS - 1)], pid, fromNs);
    for (; n !== 0 && absences.length < most; n = this.#earlier(n, pid, fromNs))
      absences.push(this.#absence((n - 1) & (this.#depth - 1)));
    return { absences, whole: n === 0 && this.#goesBackTo(fromNs) };
  }

  /** Sums a task's sleeps that began since `fromNs` in one of `states` (a bit mask), or at an unknown time. */
  sleptNs(pid: number, fromNs: TimestampNs, states: number): number {
    let ns = 0;
    let n = this.#own(this.#last[pid & (CHAINS - 1)], pid, fromNs);
    for (; n !== 0; n = this.#earlier(n, pid, fromNs)) {
      const at = (n - 1) & (this.#depth - 1);
      const d = at * DOUBLES;
      const outNs = this.#doubles[d + OUT];
      const isUnknown = outNs === 0;
      if (!isUnknown && (outNs < fromNs || (this.#words[at * WORDS + STATE] & states) === 0)) continue;
      ns += (this.#doubles[d + RUNNABLE] || this.#doubles[d + IN]) - Math.max(outNs, fromNs);
    }
    return ns;
  }

  /** Returns the last known name of a task, or '' if the ring has no name. */
  commOf(pid: number): string {
    let n = this.#own(this.#last[pid & (CHAINS - 1)], pid, 0);
    for (; n !== 0; n = this.#earlier(n, pid, 0)) {
      const comm = this.#texts.of(this.#words, ((n - 1) & (this.#depth - 1)) * WORDS + COMM);
      // An entry has no name if no event showed the task's return to a CPU, so try older entries.
      if (comm !== '') return comm;
    }
    return '';
  }

  #earlier(n: number, pid: number, fromNs: TimestampNs): number {
    return this.#own(this.#doubles[((n - 1) & (this.#depth - 1)) * DOUBLES + BEFORE], pid, fromNs);
  }

  /** Searches back from entry `from` for the task's newest entry that ended after `fromNs`. Returns 0 if none did. */
  #own(from: number, pid: number, fromNs: TimestampNs): number {
    for (let n = from; n > this.#count - this.#depth && n > 0; ) {
      const at = (n - 1) & (this.#depth - 1);
      const isOver = this.#doubles[at * DOUBLES + IN] <= fromNs;
      // Entries are sorted by their ends, except entries with an unseen end, because these were added late.
      if (isOver && this.#isSeen(at)) return 0;
      if (this.#words[at * WORDS + PID] === pid && !isOver) return n;
      n = this.#doubles[at * DOUBLES + BEFORE];
    }
    return 0;
  }

  /** Whether the ring still contains every absence that ended after `fromNs`. */
  #goesBackTo(fromNs: TimestampNs): boolean {
    const depth = this.#depth;
    if (this.#count < depth) return true;
    for (let i = 0; i < depth; i++) {
      const at = (this.#count + i) & (depth - 1);
      if (this.#isSeen(at)) return this.#doubles[at * DOUBLES + IN] <= fromNs;
    }
    return false;
  }

  #isSeen(at: number): boolean {
    return (this.#words[at * WORDS + CLASS] & UNSEEN) === 0;
  }

  #absence(at: number): Absence {
    const d = at * DOUBLES;
    const w = at * WORDS;
    return {
      slot: at,
      outNs: this.#doubles[d + OUT],
      isSeen: this.#isSeen(at),
      runnableNs: this.#doubles[d + RUNNABLE],
      inNs: this.#doubles[d + IN],
      state: this.#words[w + STATE],
      taskClass: this.#words[w + CLASS] & (UNSEEN - 1),
      cpu: this.#words[w + CPU],
      queueCpu: this.#words[w + QUEUE_CPU],
      wokenBy: this.#words[w + CODE],
      waker: this.#words[w + WAKER],
      wakerCpu: this.#words[w + WAKER_CPU],
      lock: (this.#words[w + CLASS] >> LOCK_SHIFT) - 1,
    };
  }
}
