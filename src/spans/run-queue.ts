/**
 * Makes the span of a wait for a CPU. Its children are the turns of tasks on the CPUs in whose run queues the task
 * waited. A turn lasts from switch-in to switch-out. The culprit is the task that ran longest. A gap between children
 * means that switches were not recorded.
 */
import type { TimestampNs } from '../model/time.ts';
import { culpritAttributes, type DraftAttributes, taskAttributes } from './attributes.ts';
import type { Culprit, Row } from './cpu-history.ts';
import type { Cause, SpanDraft } from './draft.ts';
import type { TaskJournal } from './task-journal.ts';

/** Consecutive turns shorter than this share of the whole operation are combined into one child. */
const SHORT_SHARE = 0.05;
/** Maximum number of task names in a child that combines several turns. */
const MOST_NAMES = 5;

export interface Wait {
  pid: number;
  /** Name of the waiting task; undefined if the trace is about this task. */
  comm?: string;
  /** CPU on which the task ran after the wait. `queueCpu` is the CPU whose run queue the task joined first. */
  cpu: number;
  queueCpu: number;
  startNs: TimestampNs;
  endNs: TimestampNs;
  /** The culprit, if already known. */
  culprit?: Culprit | undefined;
}

export interface WaitParts {
  tasks: TaskJournal;
  /** Duration of the whole operation. */
  wholeNs: number;
}

export function waitSpan(wait: Wait, parts: WaitParts, more: DraftAttributes): SpanDraft {
  const { cpu, queueCpu, startNs, endNs } = wait;
  const { history, moves } = parts.tasks;
  const queues = moves.queues(wait.pid, { cpu: queueCpu, startNs, endNs });
  const shortNs = parts.wholeNs * SHORT_SHARE;
  const rows = queues.map((queue) => history.rows(queue.cpu, queue.startNs, queue.endNs, shortNs));
  const children = queues.flatMap((queue, i) => rows[i].map((row) => spanOf(row, queue.cpu)));
  const tasks = rows.map(totals);
  return {
    name: 'runqueue wait',
    startNs,
    endNs,
    attributes: {
      'cpu.logical_number': cpu,
      'ftrace.queue.cpu': queueCpu,
      'ftrace.queue.moves': queues.length - 1 || undefined,
      ...more,
      ...culpritAttributes(
        longer(
          wait.culprit,
          longestFirst(totals(rows.flat())).find(({ pid }) => pid !== 0),
        ),
      ),
    },
    children,
    causes: queues.flatMap((queue, i) =>
      [...tasks[i].values()].map((task) => causeOf(task, queue.cpu, wait)),
    ),
  };
}

/** Returns the culprit that ran longer. Both times are lower bounds, because each source can lack turns. */
function longer(a: Culprit | undefined, b: Culprit | undefined): Culprit | undefined {
  return (a?.ranNs ?? 0) > (b?.ranNs ?? 0) ? a : b;
}

/** Adds up the time that each task ran in these turns. */
function totals(rows: readonly Row[]): Map<number, Culprit> {
  const sums = new Map<number, Culprit>();
  for (const { tasks } of rows)
    for (const [pid, task] of tasks) {
      const sum = sums.get(pid);
      if (sum === undefined) sums.set(pid, { ...task });
      else sum.ranNs += task.ranNs;
    }
  return sums;
}

function causeOf({ pid, comm, ranNs }: Culprit, cpu: number, wait: Wait): Cause {
  const who = wait.comm === undefined ? '' : `${wait.comm} `;
  const what = pid === 0 ? 'while it was idle' : `behind ${comm}`;
  return { label: `${who}waited for CPU ${cpu} ${what}`, ns: ranNs };
}

/** Makes the span of one long turn, or of consecutive short turns without a gap. */
function spanOf(row: Row, cpu: number): SpanDraft {
  const { startNs, endNs, turns } = row;
  const tasks = longestFirst(row.tasks);
  const attributes: DraftAttributes = {
    'cpu.logical_number': cpu,
    'ftrace.turns': turns > 1 ? turns : undefined,
  };
  const span = { startNs, endNs, children: [] };
  const [{ pid, comm }] = tasks;
  if (tasks.length > 1) {
    const names = tasks.slice(0, MOST_NAMES).map((task) => (task.pid === 0 ? 'idle' : task.comm));
    const several = { 'ftrace.tasks': tasks.length, 'ftrace.thread.names': names };
    return { ...span, name: 'ran instead', attributes: { ...attributes, ...several } };
  }
  if (pid === 0) return { ...span, name: 'cpu idle', attributes };
  const ofTask = { ...attributes, ...taskAttributes(pid, comm) };
  return { ...span, name: 'ran instead', attributes: ofTask, factsOf: pid };
}

/** Sorts tasks by their running time, longest first. Of equal tasks, the one that ran first comes first. */
function longestFirst(tasks: ReadonlyMap<number, Culprit>): Culprit[] {
  return [...tasks.values()].reverse().sort((a, b) => b.ranNs - a.ranNs);
}
