/**
 * When each task left its CPU, was woken and became runnable, by pid. When a watched task comes back to a CPU, its whole
 * absence is reported to the sink of task intervals.
 */
import type { SwitchIn, TaskSink } from '../../model/intervals.ts';
import type { EventRecord } from '../../model/record.ts';
import { MAX_RT_PRIO, NORMAL, REALTIME, type TaskClasses } from '../../model/task-classes.ts';
import type { TimestampNs } from '../../model/time.ts';
import { COMM_WORDS, type CpuTasks } from './cpu-tasks.ts';
import { TaskStamps } from './task-stamps.ts';

/** A pid takes 22 bits of a tag (PID_MAX_LIMIT); a CPU the rest. */
const PID_BITS = 22;
const PID_MASK = (1 << PID_BITS) - 1;
/** Comm of a task whose name no event carries. */
const NO_COMM = new Int32Array(COMM_WORDS);
/** EXIT_DEAD and EXIT_ZOMBIE, include/linux/sched.h: the task left its CPU for the last time. */
const DEAD = 0x10 | 0x20;

export class TaskAbsences {
  readonly #sink: TaskSink;
  readonly #cpus: CpuTasks;
  readonly #isSelf: (pid: number) => boolean;
  readonly #classes: TaskClasses | undefined;
  /** When watched tasks left their CPU; the tag is their state. */
  readonly #out = new TaskStamps();
  /** When each task became runnable; the tag is the CPU of its run queue. */
  readonly #runnable = new TaskStamps();
  /** When each task was last woken; the tag is the waker's pid, with its CPU in the high bits. */
  readonly #woken = new TaskStamps();
  /** For watched tasks, when their waker itself had been woken; the tag is by which task and where. */
  readonly #before = new TaskStamps();
  readonly #task: SwitchIn = {
    pid: 0,
    cpu: 0,
    outNs: 0,
    isSeen: true,
    runnableNs: 0,
    inNs: 0,
    state: 0,
    taskClass: NORMAL,
    queueCpu: 0,
    waker: 0,
    wakerCpu: 0,
    wakerWokenNs: 0,
    wakerWaker: 0,
    wakerWokenCpu: 0,
  };
  #lostUntil: TimestampNs = 0;
  #forgottenUntil: TimestampNs = 0;

  constructor(sink: TaskSink, cpus: CpuTasks, isSelf: (pid: number) => boolean, classes?: TaskClasses) {
    this.#sink = sink;
    this.#cpus = cpus;
    this.#isSelf = isSelf;
    this.#classes = classes;
  }

  /** A task that was not seen to come back does something on a CPU. */
  cameBack(pid: number, cpu: number, nowNs: TimestampNs): void {
    const out = this.#out;
    const runnable = this.#runnable;
    const outAt = out.at(pid);
    const outNs = out.stamps[outAt];
    if (outNs === 0) return;
    out.stamps[outAt] = 0;
    if (outNs < this.#lostUntil || this.#isSelf(pid)) return;
    const place = runnable.at(pid);
    const runnableNs = runnable.stamps[place] >= outNs ? runnable.stamps[place] : 0;
    if (runnableNs !== 0) runnable.stamps[place] = 0;
    const task = this.#task;
    task.pid = pid;
    task.cpu = cpu;
    task.outNs = outNs;
    task.isSeen = false;
    task.runnableNs = runnableNs;
    // No other task had the CPU: it ran as soon as it could.
    task.inNs = runnableNs === 0 ? nowNs : runnableNs;
    task.state = out.tags[outAt];
    task.taskClass = NORMAL;
    task.queueCpu = cpu;
    if (task.state !== 0) this.#setWaker(pid, outNs);
    else task.waker = 0;
    this.#sink.switchedIn(task, NO_COMM, 0);
  }

  /** A task leaves a CPU; `state` 0: it could have gone on. */
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
    if (this.#sink.inCall(pid) !== 0) this.#out.set(pid, nowNs, state);
  }

  /** A task arrives on the record's CPU. */
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
    const waited =
      runnableNs !== 0 && runnableNs >= this.#lostUntil && nowNs - runnableNs >= sink.waitThresholdNs;
    const watched = outNs !== 0 && outNs >= this.#lostUntil;
    if (!(waited || watched) || this.#isSelf(pid)) return;
    const task = this.#task;
    task.pid = pid;
    task.cpu = record.cpu;
    task.outNs = watched ? outNs : 0;
    task.isSeen = true;
    task.runnableNs = runnableNs;
    task.inNs = nowNs;
    task.state = watched ? out.tags[outAt] : 0;
    task.taskClass = prio < MAX_RT_PRIO ? REALTIME : (this.#classes?.of(pid) ?? NORMAL);
    task.queueCpu = runnable.tags[place];
    if (watched && task.state !== 0) this.#setWaker(pid, outNs);
    else task.waker = 0;
    if (task.queueCpu !== record.cpu && runnableNs !== 0 && nowNs - runnableNs >= sink.culpritNs)
      this.#cpus.reportTurn(task.queueCpu, nowNs);
    sink.switchedIn(task, record.words, commAt);
  }

  /** A task is on the run queue of a CPU, after sched_wakeup. */
  queued(pid: number, cpu: number, nowNs: TimestampNs): void {
    const runnable = this.#runnable;
    const place = runnable.place(pid);
    const sinceNs = runnable.stamps[place];
    // Two wake-ups are one wait, from the first; what began before a loss may have ended in it.
    if (place === 0 || (sinceNs !== 0 && sinceNs >= this.#lostUntil)) return;
    runnable.stamps[place] = nowNs;
    runnable.tags[place] = cpu;
  }

  /** A task goes to the queue of another CPU, after sched_migrate_task. */
  moved(pid: number, cpu: number, nowNs: TimestampNs): void {
    const runnable = this.#runnable;
    const place = runnable.at(pid);
    const sinceNs = runnable.stamps[place];
    // Not while it waits: it is being woken, and queued afterwards.
    if (sinceNs === 0 || sinceNs < this.#lostUntil) return;
    // Its first CPU's task still runs: nobody would look for that turn when it ends.
    this.#cpus.reportTurn(runnable.tags[place], nowNs);
    this.#sink.moved(pid, cpu, nowNs);
  }

  /** A task is woken on a CPU. `waker` 0: by an interrupt. */
  woken(pid: number, waker: number, cpu: number, nowNs: TimestampNs): void {
    const woken = this.#woken;
    const place = woken.place(pid);
    if (place === 0) return;
    const by = waker & PID_MASK;
    woken.stamps[place] = nowNs;
    woken.tags[place] = by | (cpu << PID_BITS);
    if (this.#out.get(pid) === 0) return;
    const ofWaker = woken.at(by);
    if (by !== 0 && woken.stamps[ofWaker] !== 0)
      this.#before.set(pid, woken.stamps[ofWaker], woken.tags[ofWaker]);
    else this.#before.clear(pid);
  }

  lost(untilNs: TimestampNs): void {
    if (untilNs > this.#lostUntil) this.#lostUntil = untilNs;
  }

  /** Clears what a loss has made void: it may belong to tasks whose end was lost, and would stay. */
  sweep(): void {
    if (this.#lostUntil === this.#forgottenUntil) return;
    this.#forgottenUntil = this.#lostUntil;
    for (const stamps of [this.#out, this.#runnable, this.#woken, this.#before])
      stamps.forgetBefore(this.#lostUntil);
  }

  /** The next task with this pid starts fresh, and its place can be reclaimed. */
  #forget(pid: number): void {
    this.#out.clear(pid);
    this.#runnable.clear(pid);
    this.#woken.clear(pid);
    this.#before.clear(pid);
  }

  #setWaker(pid: number, outNs: TimestampNs): void {
    const task = this.#task;
    const woken = this.#woken;
    const before = this.#before;
    const at = woken.at(pid);
    const isKnown = woken.stamps[at] >= outNs;
    task.waker = isKnown ? woken.tags[at] & PID_MASK : 0;
    task.wakerCpu = isKnown ? woken.tags[at] >>> PID_BITS : -1;
    const ofWaker = before.at(pid);
    const isWoken = isKnown && before.stamps[ofWaker] >= outNs;
    task.wakerWokenNs = isWoken ? before.stamps[ofWaker] : 0;
    task.wakerWaker = before.tags[ofWaker] & PID_MASK;
    task.wakerWokenCpu = before.tags[ofWaker] >>> PID_BITS;
  }
}
