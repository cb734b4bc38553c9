/**
 * A wait for a CPU as a span. Its children are the turns of the tasks that ran on that CPU in this time, in order.
 * Consecutive short turns become one child. A gap means that tasks may have run whose switches were not recorded.
 */
import type { TimestampNs } from '../model/time.ts';
import { culpritAttributes, type DraftAttributes, taskAttributes } from './attributes.ts';
import type { Culprit, Turn } from './cpu-history.ts';
import type { Cause, SpanDraft } from './draft.ts';
import type { TaskJournal } from './task-journal.ts';

/** Turns shorter than this part of the whole operation are combined. */
const SHORT_SHARE = 0.05;
/** Maximum number of task names in a span of short turns. */
const MOST_NAMES = 5;

export interface Wait {
  pid: number;
  /** Name of the waiting task, if it is not the task of the trace. */
  comm?: string;
  /** CPU on which the task ran after the wait, and in whose queue it waited first. */
  cpu: number;
  queueCpu: number;
  startNs: TimestampNs;
  endNs: TimestampNs;
  /** The task that ran for most of the time, if already known. */
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
  const turns = queues.map((queue) => history.turns(queue.cpu, queue.startNs, queue.endNs));
  const children = queues.flatMap((queue, i) => turnSpans(turns[i], queue.cpu, wait, parts));
  return {
    name: 'runqueue wait',
    startNs,
    endNs,
    attributes: {
      'cpu.logical_number': cpu,
      'ftrace.queue.cpu': queueCpu,
      'ftrace.queue.moves': queues.length - 1 || undefined,
      ...more,
      ...culpritAttributes(longer(wait.culprit, longestOf(turns.flat()))),
    },
    children,
  };
}

/** Both values are lower bounds: the known culprit may cover fewer turns, or turns that are forgotten now. */
function longer(a: Culprit | undefined, b: Culprit | undefined): Culprit | undefined {
  return (a?.ranNs ?? 0) > (b?.ranNs ?? 0) ? a : b;
}

/** The task with the most time in these turns. */
function longestOf(turns: readonly Turn[]): Culprit | undefined {
  const [most] = totals(turns.filter(({ pid }) => pid !== 0));
  return most;
}

function turnSpans(turns: readonly Turn[], cpu: number, wait: Wait, parts: WaitParts): SpanDraft[] {
  const shortNs = parts.wholeNs * SHORT_SHARE;
  const spans: SpanDraft[] = [];
  let row: Turn[] = [];
  const endRow = (): void => {
    if (row.length > 0) spans.push(spanOf(row, cpu, wait));
    row = [];
  };
  for (const turn of turns) {
    const isShort = turn.endNs - turn.startNs < shortNs;
    if (!isShort || row.at(-1)?.endNs !== turn.startNs) endRow();
    row.push(turn);
    if (!isShort) endRow();
  }
  endRow();
  return spans;
}

/** Span of consecutive turns without a gap. */
function spanOf(row: readonly Turn[], cpu: number, wait: Wait): SpanDraft {
  const [startNs, endNs] = [row[0].startNs, row[row.length - 1].endNs];
  const tasks = totals(row);
  const who = wait.comm === undefined ? '' : `${wait.comm} `;
  const causes = tasks.map(({ pid, comm, ranNs }): Cause => {
    const what = pid === 0 ? `while it was idle` : `behind ${comm}`;
    return { label: `${who}waited for CPU ${cpu} ${what}`, ns: ranNs };
  });
  const attributes: DraftAttributes = {
    'cpu.logical_number': cpu,
    'ftrace.turns': row.length > 1 ? row.length : undefined,
  };
  const span = { startNs, endNs, children: [], causes };
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

/** Total time of each task, longest first. */
function totals(turns: readonly Turn[]): Culprit[] {
  const tasks = new Map<number, Culprit>();
  for (const { pid, comm, startNs, endNs } of turns) {
    const task = tasks.get(pid) ?? { pid, comm, ranNs: 0 };
    task.ranNs += endNs - startNs;
    tasks.set(pid, task);
  }
  return [...tasks.values()].sort((a, b) => b.ranNs - a.ranNs);
}
