/**
 * Stores when each task left a CPU, was woken and became runnable. Reports to a sink (`TaskSink`) how each task
 * returned to a CPU. An absence is the time from the switch away until the return. A watched call is a call for which
 * `TaskSink.inCall` returns a start.
 */
import type { SwitchIn, TaskSink } from '../../model/intervals.ts';
import type { EventRecord } from '../../model/record.ts';
import { MAX_RT_PRIO, NORMAL, REALTIME, type TaskClasses } from '../../model/task-classes.ts';
import type { TimestampNs } from '../../model/time.ts';
import { BY_TASK, BY_UNKNOWN, CODE_BITS } from '../../model/wake-codes.ts';
import { COMM_WORDS, type CpuTasks } from './cpu-tasks.ts';
import { TaskStamps } from './task-stamps.ts';

/** Mask of the wake code (wake-codes.ts) in a tag of `#wokenBy`. */
const CODE_MASK = (1 << CODE_BITS) - 1;
/** Bit in a tag of `#out`: the absence began in a watched call. */
const WATCHED = 1 << 20;
/** Bit in a tag of `#out`: events were lost during the absence, but the task slept until it was woken. */
const SLEPT = 1 << 19;
const STATE_MASK = SLEPT - 1;
const CPU_SHIFT = 21;
/** Largest CPU number in a tag of `#out`. It also stands for all higher numbers. */
const HIGHEST_CPU = (1 << (32 - CPU_SHIFT)) - 1;
/** An absence with lost events is uncertain if it begins or ends further than this from the loss. */
const DOUBTFUL_NS = 10e9;
/** Comm for a return that no event recorded. */
const NO_COMM = new Int32Array(COMM_WORDS);
/** EXIT_DEAD and EXIT_ZOMBIE in include/linux/sched.h. */
const DEAD = 0x10 | 0x20;

export class TaskAbsences {
  readonly #sink: TaskSink;
  readonly #cpus: CpuTasks;
  readonly #isSelf: (pid: number) => boolean;
  readonly #classes: TaskClasses | undefined;
  /** When each absence began. The tag is the CPU (high bits), `WATCHED`, `SLEPT` and the task state (low bits). */
  readonly #out = new TaskStamps();
  /** When each task became runnable. The tag is the CPU of its first run queue. */
  readonly #runnable = new TaskStamps();
  /** When each task was last woken. The tag is the pid of the waker, or of the task that an interrupt interrupted. */
  readonly #woken = new TaskStamps();
  /** When each task was last woken. The tag is the wake code and the waker's CPU. */
  readonly #wokenBy = new TaskStamps();
  /** When each task began to wait for a kernel lock. The tag is the lock's flags. */
  readonly #locks = new TaskStamps();
  #hasLocks = false;
  readonly #stamps = [this.#out, this.#runnable, this.#woken, this.#wokenBy, this.#locks];
  readonly #task: SwitchIn = {
    pid: 0,
    cpu: 0,
    isWatched: false,
    outNs: 0,
    isSeen: true,
    runnableNs: 0,
    inNs: 0,
    state: 0,
    taskClass: NORMAL,
    queueCpu: 0,
    wokenBy: BY_UNKNOWN,
    waker: 0,
    wakerCpu: -1,
    lock: -1,
  };
  #lostUntil: TimestampNs = 0;
  #forgottenUntil: TimestampNs = 0;

  constructor(sink: TaskSink, cpus: CpuTasks, isSelf: (pid: number) => boolean, classes?: TaskClasses) {
    this.#sink = sink;
    this.#cpus = cpus;
    this.#isSelf = isSelf;
    this.#classes = classes;
  }

  /** Reports the return of a task that acts on a CPU although no event showed its return. */
  cameBack(pid: number, cpu: number, nowNs: TimestampNs): void {
    const out = this.#out;
    const runnable = this.#runnable;
    const outAt = out.at(pid);
    const outNs = out.stamps[outAt];
    if (outNs === 0) return;
    const isKnown = this.#isKnown(pid, outNs, outAt);
    out.stamps[outAt] = 0;
    const isWatched = (out.tags[outAt] & WATCHED) !== 0;
    if (!(isKnown || isWatched) || this.#isSelf(pid)) return;
    const place = runnable.at(pid);
    const sinceNs = Math.max(outNs, this.#lostUntil);
    const runnableNs = runnable.stamps[place] >= sinceNs ? runnable.stamps[place] : 0;
    if (runnableNs !== 0) runnable.stamps[place] = 0;
    const task = this.#task;
    task.pid = pid;
    task.cpu = cpu;
    task.isWatched = isWatched;
    task.outNs = isKnown ? outNs : 0;
    task.isSeen = false;
    task.runnableNs = runnableNs;
    task.state = isKnown ? out.tags[outAt] & STATE_MASK : 0;
    // Assume that a woken task ran at once, but that a preempted task returns only now.
    task.inNs = runnableNs === 0 || task.state === 0 ? nowNs : runnableNs;
    task.taskClass = NORMAL;
    task.queueCpu = cpu;
    this.#setWaker(pid, sinceNs);
    this.#setLock(pid, outNs);
    this.#sink.switchedIn(task, NO_COMM, 0);
  }

  /** `state` is 0 if the task is still runnable. */
  leaves(pid: number, state: number, cpu: number, nowNs: TimestampNs): void {
    if ((state & DEAD) !== 0) {
      this.#forget(pid);
      return;
    }
    this.cameBack(pid, cpu, nowNs);
    const runnable = this.#runnable;
    const place = runnable.place(pid);
    if (place !== 0) {
      runnable.stamps[place] = state === 0 ? nowNs : 0;
      runnable.tags[place] = cpu;
    }
    const tag = state | (Math.min(cpu, HIGHEST_CPU) << CPU_SHIFT);
    if (this.#sink.inCall(pid) !== 0) this.#out.set(pid, nowNs, tag | WATCHED);
    else if (this.#sink.follows) this.#out.set(pid, nowNs, tag);
  }

  /** The record's CPU switches to task `pid`. The task's comm begins at word `commAt` of the page. */
  arrives(record: EventRecord, pid: number, prio: number, commAt: number): void {
    const nowNs = record.timestampNs;
    const out = this.#out;
    const runnable = this.#runnable;
    const sink = this.#sink;
    const place = runnable.at(pid);
    const runnableNs = runnable.stamps[place];
    const outAt = out.at(pid);
    const outNs = out.stamps[outAt];
    if (runnableNs !== 0) runnable.stamps[place] = 0;
    if (outNs !== 0) out.stamps[outAt] = 0;
    const isRunnableKnown = runnableNs !== 0 && runnableNs >= this.#lostUntil;
    const waited = isRunnableKnown && nowNs - runnableNs >= sink.waitThresholdNs;
    const wasSeen = outNs !== 0 && this.#isKnown(pid, outNs, outAt);
    if (!(waited || wasSeen || sink.follows) || this.#isSelf(pid)) return;
    const task = this.#task;
    task.pid = pid;
    task.cpu = record.cpu;
    // If the start of the absence is unknown, assume that it began in the task's current call.
    task.isWatched = outNs !== 0 ? (out.tags[outAt] & WATCHED) !== 0 : sink.inCall(pid) !== 0;
    task.outNs = wasSeen ? outNs : 0;
    task.isSeen = true;
    task.runnableNs = isRunnableKnown ? runnableNs : 0;
    task.inNs = nowNs;
    task.state = wasSeen ? out.tags[outAt] & STATE_MASK : 0;
    task.taskClass = prio < MAX_RT_PRIO ? REALTIME : (this.#classes?.of(pid) ?? NORMAL);
    task.queueCpu = runnable.tags[place];
    if (task.state !== 0 || !wasSeen) this.#setWaker(pid, Math.max(outNs, this.#lostUntil));
    else this.#noWaker();
    this.#setLock(pid, outNs);
    if (task.queueCpu !== record.cpu && isRunnableKnown && nowNs - runnableNs >= sink.culpritNs)
      this.#cpus.reportTurn(task.queueCpu, nowNs);
    sink.switchedIn(task, record.words, commAt);
  }

  /** A task joined the run queue of a CPU (sched_wakeup). */
  queued(pid: number, cpu: number, nowNs: TimestampNs): void {
    const runnable = this.#runnable;
    const place = runnable.place(pid);
    const sinceNs = runnable.stamps[place];
    // A second wake-up does not begin a new wait, unless the end of the first wait may be lost.
    if (place === 0 || (sinceNs !== 0 && sinceNs >= this.#lostUntil)) return;
    runnable.stamps[place] = nowNs;
    runnable.tags[place] = cpu;
  }

  /** A task moves from the run queue of CPU `from` to that of CPU `to` (sched_migrate_task). */
  moved(pid: number, from: number, to: number, nowNs: TimestampNs): void {
    const sinceNs = this.#runnable.get(pid);
    // A task can move before its wake-up is complete. It then waits in no run queue yet.
    if (sinceNs === 0 || sinceNs < this.#lostUntil) return;
    // No later event would report this turn in time for the trace.
    this.#cpus.reportTurn(from, nowNs);
    this.#sink.moved(pid, to, nowNs);
  }

  /**
   * A task was woken (sched_waking). `lastCpu`: CPU on which the task last ran. `waker`: task that runs on `cpu`, the
   * CPU of the event. `code`: whether `waker` or an interrupt woke the task.
   */
  woken(pid: number, lastCpu: number, code: number, waker: number, cpu: number, nowNs: TimestampNs): void {
    if (nowNs - this.#lostUntil < DOUBTFUL_NS) this.#sleptUntil(pid, lastCpu);
    // The waker is running, even if no event reported its return.
    if (code === BY_TASK && waker !== 0) this.cameBack(waker, cpu, nowNs);
    this.#woken.set(pid, nowNs, waker);
    this.#wokenBy.set(pid, nowNs, code | (cpu << CODE_BITS));
  }

  lockBegins(pid: number, flags: number, nowNs: TimestampNs): void {
    this.#hasLocks = true;
    this.#locks.set(pid, nowNs, flags);
  }

  lockEnds(pid: number): void {
    this.#locks.clear(pid);
  }

  lost(untilNs: TimestampNs): void {
    if (untilNs > this.#lostUntil) this.#lostUntil = untilNs;
  }

  /** Removes entries that are much older than the last loss of events, because the exit of their tasks may be lost. */
  sweep(): void {
    if (this.#lostUntil === this.#forgottenUntil) return;
    this.#forgottenUntil = this.#lostUntil;
    for (const stamps of this.#stamps) stamps.forgetBefore(this.#lostUntil - DOUBTFUL_NS);
  }

  /**
   * Sets `SLEPT` if an absence began before a loss of events, but the task certainly has not run since: it left its
   * last CPU, and no later event of this CPU was lost.
   */
  #sleptUntil(pid: number, lastCpu: number): void {
    const out = this.#out;
    const at = out.at(pid);
    const outNs = out.stamps[at];
    if (outNs === 0 || outNs >= this.#lostUntil || lastCpu >= HIGHEST_CPU) return;
    if (out.tags[at] >>> CPU_SHIFT === lastCpu && this.#cpus.isWholeSince(lastCpu, outNs))
      out.tags[at] |= SLEPT;
  }

  /** Whether a task whose absence began at `outNs` has certainly not run since. */
  #isKnown(pid: number, outNs: TimestampNs, outAt: number): boolean {
    if (outNs >= this.#lostUntil) return true;
    return (this.#out.tags[outAt] & SLEPT) !== 0 && this.#woken.get(pid) >= this.#lostUntil;
  }

  #forget(pid: number): void {
    for (const stamps of this.#stamps) stamps.clear(pid);
  }

  /** Sets in `#task` what woke the task after `outNs`. */
  #setWaker(pid: number, outNs: TimestampNs): void {
    const task = this.#task;
    const woken = this.#woken;
    const at = woken.at(pid);
    const wokenNs = woken.stamps[at];
    if (wokenNs === 0 || wokenNs < outNs) {
      this.#noWaker();
      return;
    }
    const how = this.#wokenBy.tag(pid);
    task.wokenBy = how & CODE_MASK;
    task.waker = woken.tags[at];
    task.wakerCpu = how >>> CODE_BITS;
  }

  /** Sets in `#task` the lock that the task was waiting for at `outNs`. */
  #setLock(pid: number, outNs: TimestampNs): void {
    if (!this.#hasLocks || this.#task.state === 0) {
      this.#task.lock = -1;
      return;
    }
    const sinceNs = this.#locks.get(pid);
    const isIt = sinceNs !== 0 && sinceNs <= outNs && sinceNs >= this.#lostUntil;
    this.#task.lock = isIt ? this.#locks.tag(pid) : -1;
  }

  #noWaker(): void {
    const task = this.#task;
    task.wokenBy = BY_UNKNOWN;
    task.waker = 0;
    task.wakerCpu = -1;
  }
}
