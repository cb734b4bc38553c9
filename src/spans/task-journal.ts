/**
 * Remembers what tasks did recently, in 8 MiB. Two rings contain the times when tasks were not running. The ring for
 * tasks in watched calls shows what happened in a slow call; the ring for all tasks shows what their wakers did.
 */
import type { SwitchIn } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import { type Absence, AbsenceRing } from './absence-ring.ts';
import { COMM_WORDS } from './comm-texts.ts';
import { CpuHistory, type Culprit } from './cpu-history.ts';
import { LossJournal } from './losses.ts';
import { MoveJournal } from './move-journal.ts';
import { WorkJournal } from './work-journal.ts';

/** Sizes must be powers of two. */
const WATCHED_DEPTH = 1 << 15;
const ALL_DEPTH = 1 << 16;
/** For a shorter wait, the task that ran instead is not needed. */
export const CULPRIT_NS = 20_000;

export class TaskJournal {
  readonly history: CpuHistory;
  readonly moves = new MoveJournal();
  readonly losses = new LossJournal();
  readonly works = new WorkJournal();
  /** Absences of tasks in watched calls. */
  readonly watched: AbsenceRing;
  /** Absences of all tasks. Empty if no calls are watched. */
  readonly all: AbsenceRing;
  /** For entries of `watched` with a wait of at least `CULPRIT_NS`: the task that ran meanwhile. Pid 0 means none. */
  readonly #culprits = new Int32Array(WATCHED_DEPTH);
  readonly #culpritNs = new Float64Array(WATCHED_DEPTH);
  readonly #culpritComms = new Int32Array(WATCHED_DEPTH * COMM_WORDS);

  /** `follows`: whether all tasks are reported. */
  constructor(cpuCount: number, follows: boolean) {
    this.history = new CpuHistory(cpuCount);
    this.watched = new AbsenceRing(WATCHED_DEPTH, this.history.texts);
    this.all = new AbsenceRing(follows ? ALL_DEPTH : 1, this.history.texts);
  }

  /** Records an absence of a task in a watched call. */
  add(task: SwitchIn, words: Int32Array, commAt: number): void {
    const at = this.watched.add(task, words, commAt);
    this.#culprits[at] = 0;
    if (task.runnableNs === 0 || task.inNs - task.runnableNs < CULPRIT_NS) return;
    const { result } = this.history;
    if (!this.history.find(task.queueCpu, task.runnableNs, task.inNs)) return;
    this.#culprits[at] = result.pid;
    this.#culpritNs[at] = result.ranNs;
    for (let i = 0; i < COMM_WORDS; i++) this.#culpritComms[at * COMM_WORDS + i] = result.comm[i];
  }

  /** Absences of a task in a call since `fromNs`, oldest first. */
  since(pid: number, fromNs: TimestampNs): { absences: Absence[]; whole: boolean } {
    const { absences, whole } = this.watched.since(pid, fromNs);
    return { absences: absences.reverse(), whole };
  }

  /** The task that used the CPU for most of the wait with which this absence ended. `since` returned the absence. */
  culprit({ slot }: Absence): Culprit | undefined {
    const pid = this.#culprits[slot];
    if (pid === 0) return undefined;
    const comm = this.history.texts.of(this.#culpritComms, slot * COMM_WORDS);
    return { pid, ranNs: this.#culpritNs[slot], comm };
  }

  /** Last known name of a task; '' if none is remembered. */
  commOf(pid: number, cpu: number): string {
    return this.watched.commOf(pid) || this.all.commOf(pid) || this.history.commOf(cpu, pid);
  }
}
