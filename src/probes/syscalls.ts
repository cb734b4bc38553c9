/**
 * How long do syscalls take, and with which errors do they fail?
 *
 * The exit event of sigreturn has id -1. The child of a clone has an exit event with value 0, but no enter event. If a
 * thread calls execve, its exit event has the pid of the thread group's leader. exit and exit_group have no exit event.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import type { EventFormat } from '../model/format.ts';
import type { EventHandler, UsualPair } from '../model/record.ts';
import { TWO_POW_32 } from '../model/time.ts';
import { declareDurations, declareTaskCounts } from './families.ts';
import { usualCall, usualEnter, usualExit } from './helpers/usual-calls.ts';
import {
  byOwnEvents,
  chosenSyscalls,
  enterEvent,
  exitEvent,
  RAW_ENTER,
  RAW_EXIT,
  type SyscallOptions,
  syscallFilter,
  UNKNOWN,
} from './names/syscall-choice.ts';
import type { EventNeed, HostFacts, Probe, ProbeContext, ProbeModule } from './probe.ts';
import { splitOf } from './split.ts';
import { cell } from './tables/cell.ts';
import { SlotCache } from './tables/slot-cache.ts';
import { TaskStamps } from './tables/task-stamps.ts';

const SWITCH = 'sched:sched_switch';
const TASK_EXIT = 'sched:sched_process_exit';
const TASK_EXEC = 'sched:sched_process_exec';

const DURATION = {
  name: 'ftrace_syscall_duration_seconds',
  help: 'Time from the entry of a syscall to its exit.',
  labels: ['syscall'],
  open: ['syscall'],
};
const ERRORS = {
  name: 'ftrace_syscall_errors_total',
  help: 'Syscalls that returned an error, by syscall and by the name of the error.',
  labels: ['syscall', 'errno'],
  open: ['syscall', 'errno'],
};
const WAITING = {
  name: 'ftrace_syscall_waiting_seconds_total',
  help: 'Total duration of the syscalls in which the calling task slept interruptibly, to wait for data, an event or a timer.',
  labels: ['syscall'],
  open: ['syscall'],
};

/** Bit TASK_INTERRUPTIBLE of `prev_state`, the same on every kernel. */
const INTERRUPTIBLE = 1;
/**
 * Added to the tag (syscall number) of a call when its task sleeps interruptibly. Valid numbers are lower, except x32
 * numbers, which have bit 30.
 */
const SLEPT = 1 << 29;
const LARGEST_ID = (1 << 20) - 1;
/** include/linux/err.h */
const MAX_ERRNO = 4095;
/** Higher errnos share the series `unknown`. Errnos that are internal to the kernel begin at 512. */
const NAMED_ERRNOS = 600;
/** Syscalls whose child has an exit event, but no enter event. */
const FORKS = new Set(['clone', 'clone3', 'fork', 'vfork']);
const NEVER_RETURN = new Set(['exit', 'exit_group']);
/** `id` in the exit event of sigreturn. */
const NO_ID = -1;
/** Row of syscalls that are not selected or never return. */
const NOT_MEASURED = -1;

export const syscalls: ProbeModule<SyscallOptions> = {
  name: 'syscalls',
  help: 'How long syscalls take, and with which errors they fail.',
  byDefault: false,
  rate: 'high',
  schema: ({ globs, taskProbeSchema }) =>
    taskProbeSchema(
      { enabled: false, per_cpu: false, max_series: 500, buckets: decimalBuckets(1e-6, 10) },
      { include: globs('name').prefault([]), exclude: globs('name').prefault([]) },
    ),
  needs: (options, kernel, host) => {
    if (options.include.length > 0) {
      const unknownAsked = syscallFilter(options)(UNKNOWN);
      if (chosenSyscalls(options, host).length === 0 && !unknownAsked) return [];
    }
    const tasks: EventNeed[] = [
      {
        event: SWITCH,
        fields: ['prev_pid', 'prev_state'],
        without: 'the time of syscalls that waited is not measured separately',
      },
      { event: TASK_EXIT, fields: ['pid'], without: '' },
      { event: TASK_EXEC, fields: ['pid', 'old_pid'], without: '' },
    ];
    const offered = new Set(kernel.events());
    const own = byOwnEvents(options, host, (event) => offered.has(event));
    if (own === undefined) {
      return [
        { event: RAW_ENTER, fields: ['common_pid', 'id'] },
        { event: RAW_EXIT, fields: ['common_pid', 'id', 'ret'] },
        ...tasks,
      ];
    }
    const needs = own.flatMap(({ name }): EventNeed[] => [
      { event: enterEvent(name, host), fields: ['common_pid'] },
      { event: exitEvent(name, host), fields: ['common_pid', 'ret'] },
    ]);
    return [...needs, ...tasks];
  },
  names: ({ include, exclude }, _kernel, host) => {
    const ids = host.syscallIds();
    // Without a syscall table, all syscalls have the name `unknown`.
    const offered =
      ids.length === 0 ? undefined : [...ids.flatMap((id) => host.syscallName(id) ?? []), UNKNOWN];
    return [
      { key: 'include', globs: include, kind: 'syscall', offered },
      { key: 'exclude', globs: exclude, kind: 'syscall', offered },
    ];
  },
  create: createSyscalls,
  reporting: {
    reportsAll: (options, { syscalls }, host) => {
      const isMeasured = syscallFilter(options);
      const names = host.syscallIds().flatMap((id) => host.syscallName(id) ?? []);
      return names.every((name) => isMeasured(name) || syscalls?.wants(name) !== true);
    },
    helper: (include = []) => ({ include, exclude: [] }),
    counts: syscallFilter,
  },
  metrics: [DURATION, ERRORS, WAITING],
};

function createSyscalls(context: ProbeContext, options: SyscallOptions): Probe {
  const { host, isSelf, ignoreSelf } = context;
  const { rowOf, names } = tableOfRows(options, host);
  const duration = declareDurations(context, DURATION, options, (row) => [names[row]]);
  const { containerOf, peekContainer } = splitOf(context, options);
  const countError = errorCounter(context, options, names);
  const countWaiting = waitingTime(context, options, names);
  const reasons = ['no_start', 'no_end', 'lost', 'late', 'exited'] as const;
  const [noStart, noEnd, lost, late, exited] = reasons.map((reason) => context.unmatched(reason));

  /** Start time of each task's call. The tag is the syscall number, plus `SLEPT` after a sleep. */
  const calls = new TaskStamps();
  const sink = context.intervals.syscalls;
  const slowNs = sink?.thresholdNs ?? Number.POSITIVE_INFINITY;
  /** By row: whether to report slow calls, for traces. */
  const isReported = names.map((name) => sink?.wants(name) ?? false);
  sink?.watch((pid) => {
    const since = calls.get(pid);
    return since !== 0 && isReported[rowOf(idOf(calls.tag(pid)))] ? since : 0;
  });
  /** End of the last loss of events. Earlier calls are not measured. Never 0, which is the stamp of no call. */
  const lostUntil = cell(1);
  const usual = { calls, rowOf, lostUntil, slowNs, duration, peekContainer };

  /** Drops the call of a task, because no exit event can follow. Counts it as lost, or with `why` if it began later. */
  const abandon = (pid: number, why: () => void): void => {
    const since = calls.get(pid);
    if (since === 0) return;
    calls.clear(pid);
    if (since < lostUntil[0]) lost();
    else why();
  };

  const giveUp = (pid: number): void => abandon(pid, noEnd);
  /** `fixedId`: the syscall that has these events. */
  const handlersOf = (enter: string, exit: string, fixedId?: number): Record<string, EventHandler> => {
    const [exitPid, ret] = [context.word(exit, 'common_pid'), context.word(exit, 'ret')];
    const exitId = fixedId === undefined ? context.word(exit, 'id') : 0;
    const fixed = fixedId ?? NO_ID;
    const retHigh = highWord(context.format(exit), 'ret', ret);

    const onExit: EventHandler = (record) => {
      const { words } = record;
      const at = record.offset >> 2;
      const pid = words[at + exitPid];
      if (isSelf(pid)) {
        ignoreSelf();
        return;
      }
      const id = exitId === 0 ? fixed : words[at + exitId];
      const place = calls.at(pid);
      const since = calls.stamps[place];
      const tag = calls.tags[place];
      const begun = idOf(tag);
      if (since !== 0) calls.stamps[place] = 0;
      const row = rowOf(since !== 0 && id === NO_ID ? begun : id);
      const value = words[at + ret];
      // sigreturn returns a register of the interrupted program, so a negative value is not an error.
      if (value < 0 && value >= -MAX_ERRNO && words[at + retHigh] < 0 && row >= 0 && id !== NO_ID) {
        countError(row, -value, containerOf(pid));
      }
      const ns = record.timestampNs - since;
      if (since === 0) {
        // Normal if the syscall is not selected, or in the child of a fork.
        if (row >= 0 && !(value === 0 && FORKS.has(names[row]))) noStart();
      } else if (id !== NO_ID && id !== begun) noStart();
      else {
        const isVoid = since < lostUntil[0];
        if (isVoid) lost();
        else if (ns < 0) late();
        else {
          const container = containerOf(pid);
          duration.record(row, record.cpu, ns, container);
          if (begun !== tag) countWaiting(row, record.cpu, ns, container);
        }
        if (ns >= slowNs && isReported[row]) {
          const returned = id === NO_ID ? Number.NaN : words[at + retHigh] * TWO_POW_32 + (value >>> 0);
          const until = isVoid ? lostUntil[0] : 0;
          sink?.ended(names[row], pid, record.cpu, since, record.timestampNs, returned, until);
        }
      }
    };
    onExit.usual = usualExit(context, usual, exit, fixedId);
    const pair = { end: onExit, ...usualCall(context, usual, [enter, exit], fixedId) };
    return { [enter]: onEnter(context, { calls, rowOf, giveUp, pair }, enter, fixedId), [exit]: onExit };
  };

  const own = byOwnEvents(options, host, (event) => context.format(event) !== undefined);
  const handlers = taskHandlers(context, calls, (pid) => abandon(pid, exited));
  if (own === undefined) Object.assign(handlers, handlersOf(RAW_ENTER, RAW_EXIT));
  for (const { id, name } of own ?? [])
    Object.assign(handlers, handlersOf(enterEvent(name, host), exitEvent(name, host), id));
  return {
    handlers,
    onLoss: (_cpu, untilNs) => {
      if (untilNs > lostUntil[0]) lostUntil[0] = untilNs;
    },
  };
}

/** `giveUp` drops the task's previous call, whose exit event is missing. */
function onEnter(
  context: ProbeContext,
  {
    calls,
    rowOf,
    giveUp,
    pair,
  }: { calls: TaskStamps; rowOf: Rows['rowOf']; giveUp(pid: number): void; pair: UsualPair },
  event: string,
  fixedId: number | undefined,
): EventHandler {
  const { isSelf, ignoreSelf, word } = context;
  const enterPid = word(event, 'common_pid');
  const enterId = fixedId === undefined ? word(event, 'id') : 0;
  const fixed = fixedId ?? NO_ID;
  const handler: EventHandler = (record) => {
    const { words } = record;
    const at = record.offset >> 2;
    const pid = words[at + enterPid];
    if (isSelf(pid)) {
      ignoreSelf();
      return;
    }
    const id = enterId === 0 ? fixed : words[at + enterId];
    const place = calls.place(pid);
    if (place === 0) return;
    if (calls.stamps[place] !== 0) giveUp(pid);
    if (rowOf(id) < 0) return;
    calls.stamps[place] = record.timestampNs;
    calls.tags[place] = id;
  };
  handler.usual = usualEnter(context, { calls, rowOf }, event, fixedId);
  handler.pair = pair;
  return handler;
}

/** Handles tasks that sleep, exit or execute a program during a call. `exited` drops the task's call. */
function taskHandlers(
  context: ProbeContext,
  calls: TaskStamps,
  exited: (pid: number) => void,
): Record<string, EventHandler> {
  const handlers: Record<string, EventHandler> = {};
  if (context.format(SWITCH) !== undefined) {
    const prevPid = context.word(SWITCH, 'prev_pid');
    const prevState = context.word(SWITCH, 'prev_state');
    handlers[SWITCH] = ({ words, offset }) => {
      const at = offset >> 2;
      if ((words[at + prevState] & INTERRUPTIBLE) === 0) return;
      const place = calls.at(words[at + prevPid]);
      if (calls.stamps[place] !== 0 && calls.tags[place] >>> 0 <= LARGEST_ID) calls.tags[place] += SLEPT;
    };
  }
  if (context.format(TASK_EXIT) !== undefined) {
    const pidOf = context.int(TASK_EXIT, 'pid');
    handlers[TASK_EXIT] = (record) => exited(pidOf(record));
  }
  if (context.format(TASK_EXEC) !== undefined) {
    const pidOf = context.int(TASK_EXEC, 'pid');
    const oldPidOf = context.int(TASK_EXEC, 'old_pid');
    handlers[TASK_EXEC] = (record) => {
      const old = oldPidOf(record);
      const pid = pidOf(record);
      if (old === pid || calls.get(old) === 0) return;
      // This thread gets the pid of the thread group's leader. The leader has exited, so its call has no exit event.
      exited(pid);
      calls.set(pid, calls.get(old), calls.tag(old));
      calls.clear(old);
    };
  }
  return handlers;
}

function idOf(tag: number): number {
  return tag >= SLEPT && tag <= SLEPT + LARGEST_ID ? tag - SLEPT : tag;
}

/** Returns the offset of the word with the field's sign: `low + 1` for 64 bits, else `low`. */
function highWord(format: EventFormat | undefined, field: string, low: number): number {
  return format?.fields.find(({ name }) => name === field)?.size === 8 ? low + 1 : low;
}

interface Rows {
  /** Returns the row of a syscall number; negative if the syscall is not measured. */
  rowOf(id: number): number;
  /** Name by row. */
  names: readonly string[];
}

function tableOfRows(options: SyscallOptions, host: HostFacts): Rows {
  const ids = host.syscallIds();
  const names: string[] = [];
  const unknown = syscallFilter(options)(UNKNOWN) ? names.push(UNKNOWN) - 1 : NOT_MEASURED;
  const rows = new Int16Array(ids.length === 0 ? 0 : ids[ids.length - 1] + 1).fill(unknown);
  for (const id of ids) rows[id] = NOT_MEASURED;
  for (const { id, name } of chosenSyscalls(options, host)) {
    if (!NEVER_RETURN.has(name)) rows[id] = names.push(name) - 1;
  }
  return { rowOf: (id) => (id >= 0 && id < rows.length ? rows[id] : unknown), names };
}

/** The returned function adds a duration (ns). Call it only if the task slept interruptibly during the call. */
function waitingTime(
  context: ProbeContext,
  options: SyscallOptions,
  names: readonly string[],
): (row: number, cpu: number, ns: number, container: number) => void {
  const scale = { unit: 'seconds', divisor: 1e9 };
  return declareTaskCounts(context, WAITING, options, (row) => [names[row]], scale).record;
}

function errorCounter(
  context: ProbeContext,
  options: SyscallOptions,
  names: readonly string[],
): (row: number, errno: number, container: number) => void {
  const seen: [row: number, errno: number][] = [];
  const pairs = new SlotCache(NAMED_ERRNOS, (row, errno) => seen.push([row, errno]) - 1);
  const errors = declareTaskCounts(context, ERRORS, options, (pair) => {
    const [row, errno] = seen[pair];
    return [names[row], context.host.errnoName(errno) ?? UNKNOWN];
  });
  return (row, errno, container) =>
    errors.record(pairs.at(row, errno < NAMED_ERRNOS ? errno : 0), 0, 1, container);
}
