/**
 * Remembers absences (periods in which a task was not running): in one ring those of tasks in watched calls (syscalls
 * that can become traces), in another those of all tasks. Both rings use about 8 MiB.
 */
import type { SwitchIn } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import { type Absence, AbsenceRing } from './absence-ring.ts';
import { COMM_WORDS } from './comm-texts.ts';
import { CpuHistory, type Culprit } from './cpu-history.ts';
import { LossJournal } from './losses.ts';
import { MoveJournal } from './move-journal.ts';
import { WorkJournal } from './work-journal.ts';

/** Sizes of the two rings. `AbsenceRing` requires powers of two. */
const WATCHED_DEPTH = 1 << 15;
const ALL_DEPTH = 1 << 16;
/** Waits of at least this length get a culprit: the task that used the CPU longest during the wait. */
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
  /** Pid of the culprit for each entry of `watched`; 0 if unknown, or if the wait was shorter than `CULPRIT_NS`. */
  readonly #culprits = new Int32Array(WATCHED_DEPTH);
  readonly #culpritNs = new Float64Array(WATCHED_DEPTH);
  readonly #culpritComms = new Int32Array(WATCHED_DEPTH * COMM_WORDS);

  /** `follows`: whether the probe reports the absences of all tasks, not only of tasks in watched calls. */
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

  /** Like `AbsenceRing.since` for watched calls, but oldest first. */
  since(pid: number, fromNs: TimestampNs): { absences: Absence[]; whole: boolean } {
    const { absences, whole } = this.watched.since(pid, fromNs);
    return { absences: absences.reverse(), whole };
  }

  /** Returns the culprit of the wait at the end of an absence from `since`; undefined if none was recorded. */
  culprit({ slot }: Absence): Culprit | undefined {
    const pid = this.#culprits[slot];
    if (pid === 0) return undefined;
    const comm = this.history.texts.of(this.#culpritComms, slot * COMM_WORDS);
    return { pid, ranNs: this.#culpritNs[slot], comm };
  }

  /** Returns the last known name of a task, or '' if no ring contains a name. */
  commOf(pid: number, cpu: number): string {
    return this.watched.commOf(pid) || this.all.commOf(pid) || this.history.commOf(cpu, pid);
  }
}
