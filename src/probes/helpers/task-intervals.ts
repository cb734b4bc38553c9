/** For traces, reports which task ran on which CPU, and how each task returned to a CPU. */
import { switchedOutMask } from '../../decode/print-fmt.ts';
import type { EventHandler } from '../../model/record.ts';
import type { CommonOptions, Probe, ProbeContext, ProbeModule } from '../probe.ts';
import { CpuTasks } from '../tables/cpu-tasks.ts';
import { TaskAbsences } from '../tables/task-absences.ts';
import { HELPER_OPTIONS } from './helper.ts';
import { WAKE_CONTEXT_NEEDS, wakeContextEvents } from './wake-context-events.ts';
import { WakeContexts } from './wake-contexts.ts';
import { workEvents, workNeeds } from './work-events.ts';

const SWITCH = 'sched:sched_switch';
const WAKEUP = 'sched:sched_wakeup';
const MIGRATE = 'sched:sched_migrate_task';
const WAKEUP_NEW = 'sched:sched_wakeup_new';
/** `common_pid` is the waker. This is not true for sched_wakeup, which can occur on another CPU. */
const WAKING = 'sched:sched_waking';

export interface TaskIntervalOptions extends CommonOptions {
  /** Those of `WORK_PROBES` that are enabled. This helper also reads their events. */
  also: readonly string[];
}

export const taskIntervals: ProbeModule<TaskIntervalOptions> = {
  name: 'task-intervals',
  help: 'Times at which tasks stop and resume running, for traces.',
  byDefault: false,
  rate: 'low',
  schema: ({ globs, probeSchema }) =>
    probeSchema({ ...HELPER_OPTIONS, enabled: false }, { also: globs('name').prefault([]) }),
  needs: ({ also }, _kernel, _host, intervals) => [
    { event: SWITCH, fields: ['prev_pid', 'prev_comm', 'prev_state', 'next_pid', 'next_prio', 'next_comm'] },
    { event: WAKEUP, fields: ['pid', 'target_cpu'] },
    { event: WAKEUP_NEW, fields: ['pid', 'target_cpu'] },
    {
      event: MIGRATE,
      fields: ['pid', 'orig_cpu', 'dest_cpu'],
      without:
        'if a waiting task is moved to another CPU, its trace shows only which tasks ran on the first CPU',
    },
    { event: WAKING, fields: ['pid', 'target_cpu', 'common_pid', 'common_flags'] },
    ...(intervals?.tasks?.follows === true ? [...WAKE_CONTEXT_NEEDS, ...workNeeds(also)] : []),
  ],
  create: createTaskIntervals,
  metrics: [],
};

function createTaskIntervals(context: ProbeContext): Probe {
  const sink = context.intervals.tasks;
  if (sink === undefined) throw new Error('task intervals require a sink');
  const cpus = new CpuTasks(context.cpuCount, sink);
  const absences = new TaskAbsences(sink, cpus, context.isSelf, context.host.taskClasses);
  const contexts = new WakeContexts(context.cpuCount);
  const beside = wakeContextEvents(context, contexts);
  sink.names(beside.nameOf);
  sink.watch((pid, cpu, nowNs) => absences.cameBack(pid, cpu, nowNs));
  const handlers: Record<string, EventHandler> = {
    ...beside.handlers,
    ...workEvents(context, sink, absences),
    [SWITCH]: onSwitch(context, cpus, absences),
    [WAKEUP]: onWakeup(context, WAKEUP, absences),
    [WAKEUP_NEW]: onWakeup(context, WAKEUP_NEW, absences),
    [WAKING]: onWaking(context, contexts, absences),
  };
  if (context.format(MIGRATE) !== undefined) handlers[MIGRATE] = onMigrate(context, absences);
  return {
    handlers,
    onLoss: (cpu, untilNs) => {
      contexts.lost(cpu);
      cpus.lost(cpu, untilNs);
      absences.lost(untilNs);
    },
    sweep: () => absences.sweep(),
  };
}

function onSwitch(context: ProbeContext, cpus: CpuTasks, absences: TaskAbsences): EventHandler {
  const prevPid = context.word(SWITCH, 'prev_pid');
  const prevState = context.word(SWITCH, 'prev_state');
  const nextPid = context.word(SWITCH, 'next_pid');
  const nextPrio = context.word(SWITCH, 'next_prio');
  const prevComm = commWord(context, 'prev_comm');
  const nextComm = commWord(context, 'next_comm');
  const format = context.format(SWITCH);
  if (format === undefined) throw new Error(`${SWITCH} has no format`);
  const asleep = switchedOutMask(format);
  return (record) => {
    const { words, cpu, timestampNs } = record;
    const at = record.offset >> 2;
    const prev = words[at + prevPid];
    if (prev !== 0) absences.leaves(prev, words[at + prevState] & asleep, cpu, timestampNs);
    cpus.leaves(cpu, prev, timestampNs, words, at + prevComm);
    const next = words[at + nextPid];
    cpus.arrives(cpu, next, timestampNs, words, at + nextComm);
    if (next !== 0) absences.arrives(record, next, words[at + nextPrio], at + nextComm);
  };
}

function onWakeup(context: ProbeContext, event: string, absences: TaskAbsences): EventHandler {
  const pidAt = context.word(event, 'pid');
  const targetAt = context.word(event, 'target_cpu');
  return ({ words, offset, timestampNs }) => {
    const at = offset >> 2;
    absences.queued(words[at + pidAt], words[at + targetAt], timestampNs);
  };
}

function onMigrate(context: ProbeContext, absences: TaskAbsences): EventHandler {
  const pidAt = context.word(MIGRATE, 'pid');
  const fromAt = context.word(MIGRATE, 'orig_cpu');
  const toAt = context.word(MIGRATE, 'dest_cpu');
  return ({ words, offset, timestampNs }) => {
    const at = offset >> 2;
    absences.moved(words[at + pidAt], words[at + fromAt], words[at + toAt], timestampNs);
  };
}

function onWaking(context: ProbeContext, contexts: WakeContexts, absences: TaskAbsences): EventHandler {
  const pidAt = context.word(WAKING, 'pid');
  const byAt = context.word(WAKING, 'common_pid');
  // The kernel has not chosen a new CPU yet, so `target_cpu` is the task's last CPU.
  const lastCpuAt = context.word(WAKING, 'target_cpu');
  const flagsOf = context.int(WAKING, 'common_flags');
  return (record) => {
    const { words, cpu, timestampNs } = record;
    const at = record.offset >> 2;
    const current = words[at + byAt];
    const code = contexts.code(cpu, flagsOf(record), current);
    absences.woken(words[at + pidAt], words[at + lastCpuAt], code, current, cpu, timestampNs);
  };
}

/** Throws an `Error` if a comm field of sched_switch is missing, shorter than 16 bytes or not aligned to 4 bytes. */
function commWord(context: ProbeContext, name: string): number {
  const field = context.format(SWITCH)?.fields.find((candidate) => candidate.name === name);
  if (field === undefined || field.size < 16 || field.offset % 4 !== 0)
    throw new Error(`${SWITCH}: ${name} is not 16 bytes at a multiple of 4`);
  return field.offset >> 2;
}
