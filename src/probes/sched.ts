/**
 * How long do tasks wait for a CPU? A wait begins when a task is woken, or when a CPU switches away from a task that is
 * still runnable. It ends with the sched_switch to the task. The idle task (pid 0) is not counted.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { switchedOutMask } from '../decode/print-fmt.ts';
import type { EventFormat } from '../model/format.ts';
import type { EventHandler } from '../model/record.ts';
import { MAX_RT_PRIO, NORMAL, REALTIME, TASK_CLASSES, type TaskClasses } from '../model/task-classes.ts';
import { declareCpuSums, declareDurations } from './families.ts';
import type { CommonOptions, EventNeed, Probe, ProbeContext, ProbeModule } from './probe.ts';
import { SCHED_CONTAINER_METRICS, SchedContainers } from './sched-containers.ts';
import {
  ASLEEP,
  makeRunnableTasks,
  PREEMPTED,
  type RunnableTasks,
  UNCOUNTED,
} from './tables/runnable-tasks.ts';

const SWITCH = 'sched:sched_switch';
const WAKEUP = 'sched:sched_wakeup';
const WAKEUP_NEW = 'sched:sched_wakeup_new';
const WAKING = 'sched:sched_waking';
const MIGRATE = 'sched:sched_migrate_task';

const LATENCY = {
  name: 'ftrace_sched_runqueue_latency_seconds',
  help: 'Time from when a task became runnable until it ran on a CPU, by scheduling class.',
  labels: ['class'],
};
const WAIT = {
  name: 'ftrace_sched_runqueue_wait_seconds_total',
  help: 'Total time that tasks waited in a run queue, by the CPU that then ran the task.',
  labels: ['cpu'],
};
const SWITCHES = {
  name: 'ftrace_sched_switches_total',
  help: 'Times a task was switched out. "voluntary": the task went to sleep; "preempted": the task was still runnable.',
  labels: ['cpu', 'kind'],
};
const WAKEUPS = {
  name: 'ftrace_sched_wakeups_total',
  help: 'Times a task was woken or newly created, by the CPU whose run queue the task joined.',
  labels: ['cpu'],
};
const MIGRATIONS = {
  name: 'ftrace_sched_migrations_total',
  help: 'Times a task moved from one CPU to another.',
  labels: [],
};

/** After such a wait, the probe requests the task's scheduling class, to use it for later waits. */
const LONG_WAIT_NS = 1e6;
/** For recordings, which contain no scheduling classes. */
const NO_CLASSES: TaskClasses = {
  of: () => NORMAL,
  ask: () => {},
  inherit: () => {},
  now: () => NORMAL,
  refresh: () => {},
};

/** Values of the label `kind`, indexed by `ASLEEP` and `PREEMPTED`. */
const KINDS = ['voluntary', 'preempted'];

export interface SchedOptions extends CommonOptions {
  /** A wait begins when the task joins a run queue (`wakeup`), or when the waker begins to wake the task (`waking`). */
  from: 'wakeup' | 'waking';
  /** Whether to measure waits by container in addition. */
  per_container: boolean;
  /** Maximum number of pairs of containers with their own series. */
  interference_pairs: number;
}

export const sched: ProbeModule<SchedOptions> = {
  name: 'sched',
  help: 'How long tasks wait for a CPU, and how often they are switched, woken and moved.',
  byDefault: true,
  rate: 'low',
  schema: ({ probeSchema, z }) =>
    probeSchema(
      { enabled: true, per_cpu: false, max_series: 500, buckets: decimalBuckets(1e-6, 10) },
      {
        from: z.enum(['wakeup', 'waking']).default('wakeup'),
        per_container: z.boolean().default(false),
        interference_pairs: z.int().min(1).max(1000).default(100),
      },
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
      { event: MIGRATE, fields: ['pid', 'dest_cpu'], without: 'migrations are not counted' },
    ];
    if (options.from === 'waking')
      needs.push({ event: WAKING, fields: ['pid'], without: 'waits are measured from the wake-up on' });
    return needs;
  },
  create: createSched,
  // In a trace, a wait always begins at sched_wakeup.
  reporting: {
    counts: ({ from }) => (from === 'wakeup' ? () => true : () => false),
    withoutContainers: true,
  },
  metrics: [...SCHED_CONTAINER_METRICS, LATENCY, WAIT, SWITCHES, WAKEUPS, MIGRATIONS],
};

function createSched(context: ProbeContext, options: SchedOptions): Probe {
  // Do not declare the family of a missing event, because the value 0 would be wrong.
  const has = (event: string): boolean => context.format(event) !== undefined;
  const { containers } = context.host;
  const runnable = makeRunnableTasks(
    options.per_container && containers ? new SchedContainers(context, containers, options) : undefined,
  );
  const classes = context.host.taskClasses ?? NO_CLASSES;
  const handlers: Record<string, EventHandler> = {};
  const switchFormat = context.format(SWITCH);
  if (switchFormat !== undefined)
    handlers[SWITCH] = switchHandler(context, options, switchFormat, runnable, classes);
  const wakeups = declareCpuSums(context, WAKEUPS, { rowsShown: has(WAKEUP) || has(WAKEUP_NEW) ? 1 : 0 });
  if (has(WAKEUP)) handlers[WAKEUP] = wakeupHandler(context, WAKEUP, wakeups, runnable);
  if (has(WAKEUP_NEW)) handlers[WAKEUP_NEW] = newTaskHandler(context, classes, wakeups, runnable);
  if (has(MIGRATE)) handlers[MIGRATE] = migrateHandler(context, runnable);
  if (has(WAKING)) handlers[WAKING] = wakingHandler(context, runnable);
  return {
    handlers,
    onLoss: (_cpu, untilNs) => runnable.lost(untilNs),
    sweep: () => classes.refresh(),
  };
}

function switchHandler(
  context: ProbeContext,
  options: SchedOptions,
  format: EventFormat,
  runnable: RunnableTasks,
  classes: TaskClasses,
): EventHandler {
  // `SchedContainers` has separate families for waits by container.
  const inFamily = { ...options, per_container: false };
  const latency = declareDurations(context, LATENCY, inFamily, (row) => [TASK_CLASSES[row]]);
  latency.show(NORMAL);
  const wait = declareCpuSums(context, WAIT, { unit: 'seconds', divisor: 1e9 });
  const switches = declareCpuSums(context, SWITCHES, {
    rowsShown: KINDS.length,
    rest: (row) => [KINDS[row]],
  });
  const noStart = context.unmatched('no_start');
  const lost = context.unmatched('lost');
  const late = context.unmatched('late');
  const { isSelf, ignoreSelf } = context;
  const prevPid = context.word(SWITCH, 'prev_pid');
  const prevState = context.word(SWITCH, 'prev_state');
  const nextPid = context.word(SWITCH, 'next_pid');
  const nextPrio = context.word(SWITCH, 'next_prio');
  // The bits that mean "not runnable" differ between kernels.
  const asleep = switchedOutMask(format);
  return ({ words, offset, cpu, timestampNs }) => {
    const at = offset >> 2;
    const prev = words[at + prevPid];
    const next = words[at + nextPid];
    let departure = UNCOUNTED;
    if (prev !== 0 && !isSelf(prev)) {
      departure = (words[at + prevState] & asleep) === 0 ? PREEMPTED : ASLEEP;
      switches[cpu * 2 + departure] += 1;
    }
    runnable.now[0] = timestampNs;
    runnable.switched(prev, departure, next, cpu);
    if (next === 0) return;
    const since = runnable.since[0];
    const ns = timestampNs - since;
    if (isSelf(next)) ignoreSelf();
    else if (since === 0) noStart();
    else if (since < runnable.lostUntil[0]) lost();
    else if (ns < 0) late();
    else {
      // This is the current priority, so a task that inherits a real-time priority counts as a real-time task.
      const isRealtime = words[at + nextPrio] < MAX_RT_PRIO;
      latency.record(isRealtime ? REALTIME : classes.of(next), cpu, ns);
      wait[cpu] += ns;
      if (ns >= LONG_WAIT_NS && !isRealtime) classes.ask(next);
    }
  };
}

function wakeupHandler(
  context: ProbeContext,
  event: string,
  wakeups: Float64Array,
  runnable: RunnableTasks,
): EventHandler {
  const { isSelf, ignoreSelf, cpuCount } = context;
  const pidAt = context.word(event, 'pid');
  const targetAt = context.word(event, 'target_cpu');
  return ({ words, offset, cpu, timestampNs }) => {
    const at = offset >> 2;
    const pid = words[at + pidAt];
    if (isSelf(pid)) {
      ignoreSelf();
      return;
    }
    const target = words[at + targetAt];
    const queue = target >= 0 && target < cpuCount ? target : cpu;
    wakeups[queue] += 1;
    runnable.now[0] = timestampNs;
    runnable.woken(pid, queue);
  };
}

/**
 * The new task gets the class of its parent, because an earlier task with the same pid may have had another class.
 * Repeats code of `wakeupHandler`, because V8 treats arrays as constants only in closures that share no code.
 */
function newTaskHandler(
  context: ProbeContext,
  classes: TaskClasses,
  wakeups: Float64Array,
  runnable: RunnableTasks,
): EventHandler {
  const { int, isSelf, ignoreSelf, cpuCount } = context;
  const pidOf = int(WAKEUP_NEW, 'pid');
  const parentOf = int(WAKEUP_NEW, 'common_pid');
  const targetOf = int(WAKEUP_NEW, 'target_cpu');
  return (record) => {
    const pid = pidOf(record);
    classes.inherit(pid, parentOf(record));
    if (isSelf(pid)) {
      ignoreSelf();
      return;
    }
    const target = targetOf(record);
    const queue = target >= 0 && target < cpuCount ? target : record.cpu;
    wakeups[queue] += 1;
    runnable.now[0] = record.timestampNs;
    runnable.woken(pid, queue);
  };
}

function wakingHandler({ int, isSelf, ignoreSelf }: ProbeContext, runnable: RunnableTasks): EventHandler {
  const pidOf = int(WAKING, 'pid');
  return (record) => {
    const pid = pidOf(record);
    runnable.now[0] = record.timestampNs;
    if (isSelf(pid)) ignoreSelf();
    else runnable.waking(pid);
  };
}

function migrateHandler(
  { metrics, int, isSelf, ignoreSelf }: ProbeContext,
  runnable: RunnableTasks,
): EventHandler {
  const migrations = metrics.counter(MIGRATIONS);
  const slot = migrations.slot([]);
  const pidOf = int(MIGRATE, 'pid');
  const destOf = int(MIGRATE, 'dest_cpu');
  return (record) => {
    const pid = pidOf(record);
    if (isSelf(pid)) {
      ignoreSelf();
      return;
    }
    migrations.add(slot, 1);
    runnable.now[0] = record.timestampNs;
    runnable.migrates(pid, destOf(record));
  };
}
