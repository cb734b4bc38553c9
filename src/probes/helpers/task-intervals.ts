/**
 * Reports to the sink, for traces of slow operations, which task ran on which CPU, and how a watched task came back to
 * a CPU. Reads scheduler events (include/trace/events/sched.h). Has no metrics and is in no catalogue: it is on if a
 * kind of trace needs it.
 */
import { switchedOutMask } from '../../decode/print-fmt.ts';
import type { SwitchIn } from '../../model/intervals.ts';
import type { EventHandler, EventRecord } from '../../model/record.ts';
import type { TimestampNs } from '../../model/time.ts';
import { IN_INTERRUPT } from '../names/trace-flags.ts';
import type { Probe, ProbeContext, ProbeModule } from '../probe.ts';
import { TaskStamps } from '../tables/task-stamps.ts';
import { helperSchema } from './helper.ts';

const SWITCH = 'sched:sched_switch';
const WAKEUP = 'sched:sched_wakeup';
const WAKEUP_NEW = 'sched:sched_wakeup_new';
/** Runs in the waker's context; sched_wakeup does not if the task goes to another CPU. */
const WAKING = 'sched:sched_waking';

/** A pid takes 22 bits of a tag (PID_MAX_LIMIT); a CPU the rest. */
const PID_BITS = 22;
const PID_MASK = (1 << PID_BITS) - 1;
const COMM_WORDS = 4;
/** Comm of a task whose name no event carries. */
const NO_COMM = new Int32Array(COMM_WORDS);
/** EXIT_DEAD and EXIT_ZOMBIE, include/linux/sched.h: the task left its CPU for the last time. */
const DEAD = 0x10 | 0x20;

export const taskIntervals: ProbeModule = {
  name: 'task-intervals',
  help: 'When tasks leave a CPU and come back, for traces.',
  byDefault: false,
  rate: 'low',
  schema: helperSchema,
  needs: () => [
    { event: SWITCH, fields: ['prev_pid', 'prev_comm', 'prev_state', 'next_pid', 'next_comm'] },
    { event: WAKEUP, fields: ['pid', 'target_cpu'] },
    { event: WAKEUP_NEW, fields: ['pid', 'target_cpu'] },
    { event: WAKING, fields: ['pid', 'common_pid', 'common_flags'] },
  ],
  create: createTaskIntervals,
  metrics: [],
};

function createTaskIntervals(context: ProbeContext): Probe {
  const sink = context.intervals.tasks;
  if (sink === undefined) throw new Error('task intervals need a sink');
  const { isSelf } = context;
  /** When watched tasks left their CPU; the tag is their state. */
  const out = new TaskStamps();
  /** When each task became runnable; the tag is the CPU of its run queue. */
  const runnable = new TaskStamps();
  /** When each task was last woken; the tag is the waker's pid, with its CPU in the high bits. */
  const woken = new TaskStamps();
  /** For watched tasks, when their waker itself had been woken; the tag is by which task and where. */
  const before = new TaskStamps();
  /** When each CPU's task arrived there. */
  const since = new Float64Array(context.cpuCount);
  /** Pid of the task that runs on each CPU (0: not seen), and its comm. */
  const running = new Int32Array(context.cpuCount);
  const runningComms = new Int32Array(context.cpuCount * COMM_WORDS);
  let lostUntil: TimestampNs = 0;
  let forgottenUntil: TimestampNs = 0;
  const task: SwitchIn = {
    pid: 0,
    cpu: 0,
    outNs: 0,
    isSeen: true,
    runnableNs: 0,
    inNs: 0,
    state: 0,
    queueCpu: 0,
    waker: 0,
    wakerCpu: 0,
    wakerWokenNs: 0,
    wakerWaker: 0,
    wakerWokenCpu: 0,
  };

  const prevPid = context.word(SWITCH, 'prev_pid');
  const prevState = context.word(SWITCH, 'prev_state');
  const nextPid = context.word(SWITCH, 'next_pid');
  const prevComm = commWord(context, 'prev_comm');
  const nextComm = commWord(context, 'next_comm');
  const format = context.format(SWITCH);
  if (format === undefined) throw new Error(`${SWITCH} has no format`);
  const asleep = switchedOutMask(format);
  const { waitThresholdNs, culpritNs } = sink;

  const cameBack = (pid: number, cpu: number, nowNs: TimestampNs): void => {
    const outAt = out.at(pid);
    const outNs = out.stamps[outAt];
    if (outNs === 0) return;
    out.stamps[outAt] = 0;
    if (outNs < lostUntil || isSelf(pid)) return;
    const place = runnable.at(pid);
    const runnableNs = runnable.stamps[place] >= outNs ? runnable.stamps[place] : 0;
    if (runnableNs !== 0) runnable.stamps[place] = 0;
    task.pid = pid;
    task.cpu = cpu;
    task.outNs = outNs;
    task.isSeen = false;
    task.runnableNs = runnableNs;
    // Nobody else had the CPU: it ran as soon as it could.
    task.inNs = runnableNs === 0 ? nowNs : runnableNs;
    task.state = out.tags[outAt];
    task.queueCpu = cpu;
    if (task.state !== 0) tellWaker(pid, outNs);
    else task.waker = 0;
    sink.switchedIn(task, NO_COMM, 0);
  };
  sink.watch(cameBack);

  /** The next task with this pid starts fresh, and an unused chunk of pids can be taken back. */
  const forget = (pid: number): void => {
    out.clear(pid);
    runnable.clear(pid);
    woken.clear(pid);
    before.clear(pid);
  };

  const leave = (pid: number, state: number, cpu: number, nowNs: TimestampNs): void => {
    if ((state & DEAD) !== 0) {
      forget(pid);
      return;
    }
    cameBack(pid, cpu, nowNs);
    const place = runnable.place(pid);
    if (place !== 0) {
      runnable.stamps[place] = state === 0 ? nowNs : 0;
      runnable.tags[place] = cpu;
    }
    if (sink.inCall(pid) !== 0) out.set(pid, nowNs, state);
  };

  const arrive = (record: EventRecord, pid: number, commAt: number): void => {
    const nowNs = record.timestampNs;
    const place = runnable.at(pid);
    const runnableNs = runnable.stamps[place];
    const outAt = out.at(pid);
    const outNs = out.stamps[outAt];
    if (runnableNs !== 0) runnable.stamps[place] = 0;
    if (outNs !== 0) out.stamps[outAt] = 0;
    const waited = runnableNs !== 0 && runnableNs >= lostUntil && nowNs - runnableNs >= waitThresholdNs;
    const watched = outNs !== 0 && outNs >= lostUntil;
    if (!(waited || watched) || isSelf(pid)) return;
    task.pid = pid;
    task.cpu = record.cpu;
    task.outNs = watched ? outNs : 0;
    task.isSeen = true;
    task.runnableNs = runnableNs;
    task.inNs = nowNs;
    task.state = watched ? out.tags[outAt] : 0;
    task.queueCpu = runnable.tags[place];
    if (watched && task.state !== 0) tellWaker(pid, outNs);
    else task.waker = 0;
    if (task.queueCpu !== record.cpu && runnableNs !== 0 && nowNs - runnableNs >= culpritNs)
      tellTurn(task.queueCpu, nowNs);
    sink.switchedIn(task, record.words, commAt);
  };

  /** Reports the task that kept a CPU while another waited for it and went elsewhere. Splits its time there. */
  const tellTurn = (cpu: number, nowNs: TimestampNs): void => {
    if (cpu < 0 || cpu >= since.length || running[cpu] === 0 || since[cpu] === 0 || since[cpu] < lostUntil)
      return;
    sink.ran(cpu, running[cpu], since[cpu], nowNs, runningComms, cpu * COMM_WORDS);
    since[cpu] = nowNs;
  };

  const tellWaker = (pid: number, outNs: TimestampNs): void => {
    const at = woken.at(pid);
    const isKnown = woken.stamps[at] >= outNs;
    task.waker = isKnown ? woken.tags[at] & PID_MASK : 0;
    task.wakerCpu = isKnown ? woken.tags[at] >>> PID_BITS : -1;
    const ofWaker = before.at(pid);
    const isWoken = isKnown && before.stamps[ofWaker] >= outNs;
    task.wakerWokenNs = isWoken ? before.stamps[ofWaker] : 0;
    task.wakerWaker = before.tags[ofWaker] & PID_MASK;
    task.wakerWokenCpu = before.tags[ofWaker] >>> PID_BITS;
  };

  const onSwitch: EventHandler = (record) => {
    const { words, cpu, timestampNs } = record;
    const at = record.offset >> 2;
    const prev = words[at + prevPid];
    if (prev !== 0) {
      leave(prev, words[at + prevState] & asleep, cpu, timestampNs);
      if (cpu < since.length && running[cpu] === prev && since[cpu] >= lostUntil && since[cpu] !== 0)
        sink.ran(cpu, prev, since[cpu], timestampNs, words, at + prevComm);
    }
    const next = words[at + nextPid];
    if (cpu < since.length) {
      since[cpu] = timestampNs;
      running[cpu] = next;
      if (next !== 0) {
        const comm = cpu * COMM_WORDS;
        runningComms[comm] = words[at + nextComm];
        runningComms[comm + 1] = words[at + nextComm + 1];
        runningComms[comm + 2] = words[at + nextComm + 2];
        runningComms[comm + 3] = words[at + nextComm + 3];
      }
    }
    if (next !== 0) arrive(record, next, at + nextComm);
  };

  const onWakeup = (event: string): EventHandler => {
    const pidAt = context.word(event, 'pid');
    const targetAt = context.word(event, 'target_cpu');
    return (record) => {
      const { words } = record;
      const at = record.offset >> 2;
      const place = runnable.place(words[at + pidAt]);
      const since = runnable.stamps[place];
      // Two wake-ups are one wait, from the first. A wait from before a loss may have ended in it.
      if (place === 0 || (since !== 0 && since >= lostUntil)) return;
      runnable.stamps[place] = record.timestampNs;
      runnable.tags[place] = words[at + targetAt];
    };
  };

  const wakingPid = context.word(WAKING, 'pid');
  const wakingBy = context.word(WAKING, 'common_pid');
  const wakingFlags = context.int(WAKING, 'common_flags');
  const onWaking: EventHandler = (record) => {
    const { words, cpu } = record;
    const at = record.offset >> 2;
    const pid = words[at + wakingPid];
    const place = woken.place(pid);
    if (place === 0) return;
    const waker = (wakingFlags(record) & IN_INTERRUPT) === 0 ? words[at + wakingBy] & PID_MASK : 0;
    woken.stamps[place] = record.timestampNs;
    woken.tags[place] = waker | (cpu << PID_BITS);
    if (out.get(pid) === 0) return;
    const ofWaker = woken.at(waker);
    if (waker !== 0 && woken.stamps[ofWaker] !== 0)
      before.set(pid, woken.stamps[ofWaker], woken.tags[ofWaker]);
    else before.clear(pid);
  };

  return {
    handlers: {
      [SWITCH]: onSwitch,
      [WAKEUP]: onWakeup(WAKEUP),
      [WAKEUP_NEW]: onWakeup(WAKEUP_NEW),
      [WAKING]: onWaking,
    },
    onLoss: (_cpu, untilNs) => {
      if (untilNs > lostUntil) lostUntil = untilNs;
    },
    // Stamps from before a loss may belong to tasks whose end was lost: they would stay forever.
    sweep: () => {
      if (lostUntil === forgottenUntil) return;
      forgottenUntil = lostUntil;
      for (const stamps of [out, runnable, woken, before]) stamps.forgetBefore(lostUntil);
    },
  };
}

/** Word where a comm begins: every kernel aligns it to 4 bytes. */
function commWord(context: ProbeContext, name: string): number {
  const field = context.format(SWITCH)?.fields.find((candidate) => candidate.name === name);
  if (field === undefined || field.size < 16 || field.offset % 4 !== 0)
    throw new Error(`${SWITCH}: ${name} is not 16 bytes at a multiple of 4`);
  return field.offset >> 2;
}
