/**
 * How long do tasks wait for a CPU? Reads scheduler events (include/trace/events/sched.h); measures run-queue latency,
 * and counts switches, wake-ups and migrations. A wait starts when a task is woken, or is switched out while it could
 * still run, and ends with the sched_switch that runs it. The idle task (pid 0) is not counted.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { switchedOutMask } from '../decode/print-fmt.ts';
import type { EventFormat } from '../model/format.ts';
import type { EventHandler, EventRecord } from '../model/record.ts';
import { MAX_RT_PRIO, NORMAL, REALTIME, TASK_CLASSES, type TaskClasses } from '../model/task-classes.ts';
import type { TimestampNs } from '../model/time.ts';
import { declareCpuCounts, declareDurations } from './families.ts';
import type { CommonOptions, EventNeed, Probe, ProbeContext, ProbeModule } from './probe.ts';
import { TaskStamps } from './tables/task-stamps.ts';

const SWITCH = 'sched:sched_switch';
const WAKEUP = 'sched:sched_wakeup';
const WAKEUP_NEW = 'sched:sched_wakeup_new';
const WAKING = 'sched:sched_waking';
const MIGRATE = 'sched:sched_migrate_task';

const LATENCY = {
  name: 'ftrace_sched_runqueue_latency_seconds',
  help: 'Time from runnable (woken, or switched out while still able to run) to running, by scheduling class.',
  labels: ['class'],
};
const WAIT = {
  name: 'ftrace_sched_runqueue_wait_seconds_total',
  help: 'Sum of the run-queue latencies of tasks, by the CPU that ran them.',
  labels: ['cpu'],
};
const SWITCHES = {
  name: 'ftrace_sched_switches_total',
  help: 'Tasks switched out: voluntary if they went to sleep, preempted if they could have gone on.',
  labels: ['cpu', 'kind'],
};
const WAKEUPS = {
  name: 'ftrace_sched_wakeups_total',
  help: 'Tasks woken, new tasks included, by the CPU whose run queue they joined.',
  labels: ['cpu'],
};
const MIGRATIONS = {
  name: 'ftrace_sched_migrations_total',
  help: 'Tasks moved from one CPU to another.',
  labels: [],
};

/** Tasks that waited at least this long are asked for their class. */
const LONG_WAIT_NS = 1e6;
/** For recordings, where only real-time tasks are known. */
const NO_CLASSES: TaskClasses = {
  of: () => NORMAL,
  ask: () => {},
  inherit: () => {},
  now: () => NORMAL,
  refresh: () => {},
};

const KINDS = ['voluntary', 'preempted'];
const VOLUNTARY = 0;
const PREEMPTED = 1;

export interface SchedOptions extends CommonOptions {
  /** Where a wait begins. `wakeup`: the task joins a run queue. `waking`: the waker starts, possibly on another CPU. */
  from: 'wakeup' | 'waking';
}

export const sched: ProbeModule<SchedOptions> = {
  name: 'sched',
  help: 'How long tasks wait for a CPU, and how often they are switched, woken and moved.',
  byDefault: true,
  rate: 'low',
  schema: ({ probeSchema, z }) =>
    probeSchema(
      { enabled: true, per_cpu: false, max_series: 500, buckets: decimalBuckets(1e-6, 10) },
      { from: z.enum(['wakeup', 'waking']).default('wakeup') },
    ),
  needs: (options) => {
    const needs: EventNeed[] = [
      {
        event: SWITCH,
        fields: ['prev_pid', 'prev_state', 'next_pid', 'next_prio'],
        without: 'switches and waits for a CPU are not measured',
      },
      {
        event: WAKEUP,
        fields: ['pid', 'target_cpu'],
        without: 'wake-ups of tasks that slept, and the waits that begin with them, are not measured',
      },
      {
        event: WAKEUP_NEW,
        fields: ['pid', 'target_cpu', 'common_pid'],
        without: 'wake-ups of new tasks, and their first waits, are not measured',
      },
      { event: MIGRATE, fields: ['pid'], without: 'migrations are not counted' },
    ];
    if (options.from === 'waking')
      needs.push({ event: WAKING, fields: ['pid'], without: 'waits begin at the wake-up' });
    return needs;
  },
  create: createSched,
  metrics: [LATENCY, WAIT, SWITCHES, WAKEUPS, MIGRATIONS],
};

function createSched(context: ProbeContext, options: SchedOptions): Probe {
  // A family gets series only if this kernel or recording has its events: 0 would be a claim.
  const has = (event: string): boolean => context.format(event) !== undefined;
  const hasSwitch = has(SWITCH);
  const latency = declareDurations(context, LATENCY, options, (row) => [TASK_CLASSES[row]]);
  if (hasSwitch) latency.show(NORMAL);
  const wait = declareCpuCounts(context, WAIT, {
    unit: 'seconds',
    divisor: 1e9,
    rowsShown: hasSwitch ? 1 : 0,
  });
  const switches = declareCpuCounts(context, SWITCHES, {
    rowsShown: hasSwitch ? KINDS.length : 0,
    rest: (row) => [KINDS[row]],
  });
  const wakeups = declareCpuCounts(context, WAKEUPS, { rowsShown: has(WAKEUP) || has(WAKEUP_NEW) ? 1 : 0 });
  const noStart = context.unmatched('no_start');
  const lost = context.unmatched('lost');
  const late = context.unmatched('late');

  const { isSelf, ignoreSelf, cpuCount } = context;
  const classes = context.host.taskClasses ?? NO_CLASSES;
  /** When each task became runnable. */
  const runnable = new TaskStamps();
  let lostUntil: TimestampNs = 0;

  const startWaiting = (pid: number, record: EventRecord): void => {
    const place = runnable.place(pid);
    if (place === 0) return;
    // Two wake-ups are one wait, from the first. A wait from before a loss may have ended in it.
    const since = runnable.stamps[place];
    if (since === 0 || since < lostUntil) runnable.stamps[place] = record.timestampNs;
  };

  const onSwitch = (format: EventFormat): EventHandler => {
    const prevPid = context.word(SWITCH, 'prev_pid');
    const prevState = context.word(SWITCH, 'prev_state');
    const nextPid = context.word(SWITCH, 'next_pid');
    const nextPrio = context.word(SWITCH, 'next_prio');
    // Which bits say "not runnable" differs between kernels: the event's print fmt knows.
    const asleep = switchedOutMask(format);
    return (record) => {
      const { words, cpu } = record;
      const at = record.offset >> 2;
      const prev = words[at + prevPid];
      if (prev !== 0 && !isSelf(prev)) {
        const place = runnable.place(prev);
        const preempted = (words[at + prevState] & asleep) === 0;
        if (place !== 0) runnable.stamps[place] = preempted ? record.timestampNs : 0;
        switches.add(preempted ? PREEMPTED : VOLUNTARY, cpu, 1);
      }
      const next = words[at + nextPid];
      if (next === 0) return;
      const place = runnable.at(next);
      const since = runnable.stamps[place];
      if (since !== 0) runnable.stamps[place] = 0;
      const ns = record.timestampNs - since;
      if (isSelf(next)) ignoreSelf();
      else if (since === 0) noStart();
      else if (since < lostUntil) lost();
      else if (ns < 0) late();
      else {
        // The priority of the moment: a task that inherits that of a real-time task is real-time.
        const isRealtime = words[at + nextPrio] < MAX_RT_PRIO;
        latency.record(isRealtime ? REALTIME : classes.of(next), cpu, ns);
        wait.add(0, cpu, ns);
        if (ns >= LONG_WAIT_NS && !isRealtime) classes.ask(next);
      }
    };
  };

  const onWakeup = (event: string): EventHandler => {
    const pidAt = context.word(event, 'pid');
    const targetAt = context.word(event, 'target_cpu');
    return (record) => {
      const { words } = record;
      const at = record.offset >> 2;
      const pid = words[at + pidAt];
      if (isSelf(pid)) {
        ignoreSelf();
        return;
      }
      const target = words[at + targetAt];
      wakeups.add(0, target >= 0 && target < cpuCount ? target : record.cpu, 1);
      startWaiting(pid, record);
    };
  };

  /** Recorded in the context of the task that made the new one, which may have the number of one that has ended. */
  const onWakeupNew = (): EventHandler => {
    const wakeUp = onWakeup(WAKEUP_NEW);
    const pidAt = context.word(WAKEUP_NEW, 'pid');
    const parentAt = context.word(WAKEUP_NEW, 'common_pid');
    return (record) => {
      const at = record.offset >> 2;
      classes.inherit(record.words[at + pidAt], record.words[at + parentAt]);
      wakeUp(record);
    };
  };

  const onWaking = (): EventHandler => {
    const pidOf = context.int(WAKING, 'pid');
    return (record) => {
      const pid = pidOf(record);
      if (isSelf(pid)) ignoreSelf();
      else startWaiting(pid, record);
    };
  };

  const onMigrate = (): EventHandler => {
    const migrations = context.metrics.counter(MIGRATIONS);
    const slot = migrations.slot([]);
    const pidOf = context.int(MIGRATE, 'pid');
    return (record) => {
      if (isSelf(pidOf(record))) ignoreSelf();
      else migrations.add(slot, 1);
    };
  };

  const handlers: Record<string, EventHandler> = {};
  const switchFormat = context.format(SWITCH);
  if (switchFormat !== undefined) handlers[SWITCH] = onSwitch(switchFormat);
  if (has(WAKEUP)) handlers[WAKEUP] = onWakeup(WAKEUP);
  if (has(WAKEUP_NEW)) handlers[WAKEUP_NEW] = onWakeupNew();
  if (has(MIGRATE)) handlers[MIGRATE] = onMigrate();
  if (has(WAKING)) handlers[WAKING] = onWaking();
  return {
    handlers,
    onLoss: (_cpu, untilNs) => {
      if (untilNs > lostUntil) lostUntil = untilNs;
    },
    sweep: () => classes.refresh(),
  };
}
