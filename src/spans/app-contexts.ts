/**
 * Which span of an application each thread was in, and when: what programs write about themselves enters, parents for
 * the kernel's spans leave. Whoever may write can write anything, so all of it is bounded, and what is left out is counted.
 *
 * A thread's spans nest; the one begun last and not ended is its context. After a loss no context is trusted any more,
 * for its end may be among what was lost: a wrong parent is worse than none. Spans that have ended are remembered for a
 * while, for operations that began in them and are told of later.
 */
import type { MarkedSpan, MarkerSink } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import type { RemoteParent } from './deps.ts';

/** What becomes of a marker, as the label `outcome`. */
export const MARKER_OUTCOMES = ['accepted', 'unsampled', 'malformed', 'unpaired', 'over_limit'] as const;
export type MarkerOutcome = (typeof MARKER_OUTCOMES)[number];

export interface ContextLimits {
  /** Spans of one thread that are open at a time. */
  depth: number;
  /** Spans that are remembered of one thread, and of all. */
  perTask: number;
  total: number;
  /** Threads. */
  tasks: number;
  /** Markers a second, of one thread and of all. */
  perTaskSecond: number;
  perSecond: number;
  /** A span that is over is remembered for so long. */
  keptNs: number;
  /** One that is never ended ends by itself. */
  longestNs: number;
}

export const CONTEXT_LIMITS: ContextLimits = {
  depth: 16,
  perTask: 64,
  total: 16_384,
  tasks: 8_192,
  perTaskSecond: 2_000,
  perSecond: 10_000,
  keptNs: 10e9,
  longestNs: 3600e9,
};

interface Interval {
  beginNs: TimestampNs;
  /** Infinity while it is open. */
  endNs: TimestampNs;
  span: MarkedSpan;
}

interface Task {
  /** In the order of their beginning. */
  intervals: Interval[];
  /** Those of them that are open, the innermost last. */
  open: Interval[];
  window: Window;
}

/** Markers within a second. */
interface Window {
  sinceNs: TimestampNs;
  count: number;
}

export interface AppContexts {
  sink: MarkerSink;
  /** The span that a thread was in at that time; undefined where there was none, or one that is not sampled. */
  parentOf(pid: number, atNs: TimestampNs): RemoteParent | undefined;
  /** Forgets what is over since long. About once a second. */
  sweep(nowNs: TimestampNs): void;
  /** Spans that are remembered. */
  size(): number;
}

export function makeAppContexts(
  count: (outcome: MarkerOutcome) => void,
  limits: ContextLimits = CONTEXT_LIMITS,
): AppContexts {
  const tasks = new Map<number, Task>();
  const all: Window = { sinceNs: 0, count: 0 };
  let total = 0;

  const taskOf = (pid: number): Task | undefined => {
    const known = tasks.get(pid);
    if (known !== undefined || tasks.size >= limits.tasks) return known;
    const task: Task = { intervals: [], open: [], window: { sinceNs: 0, count: 0 } };
    tasks.set(pid, task);
    return task;
  };

  const close = (task: Task, from: number, atNs: TimestampNs): void => {
    for (let i = from; i < task.open.length; i++) task.open[i].endNs = Math.max(atNs, task.open[i].beginNs);
    task.open.length = from;
  };

  /** Room for one more: what is over longest goes first. */
  const makeRoom = (task: Task): boolean => {
    if (task.intervals.length < limits.perTask && total < limits.total) return true;
    const over = task.intervals.findIndex(({ endNs }) => endNs !== Number.POSITIVE_INFINITY);
    if (over < 0) return false;
    task.intervals.splice(over, 1);
    total--;
    return true;
  };

  const began = (pid: number, atNs: TimestampNs, span: MarkedSpan): void => {
    const task = tasks.get(pid);
    if (task === undefined) return;
    const again = task.open.findIndex((open) => isSame(open.span, span));
    if (again >= 0) {
      count('unpaired');
      close(task, again, atNs);
    }
    if (task.open.length >= limits.depth || !makeRoom(task)) {
      count('over_limit');
      return;
    }
    const interval = { beginNs: atNs, endNs: Number.POSITIVE_INFINITY, span };
    task.intervals.push(interval);
    task.open.push(interval);
    total++;
    count(span.isSampled ? 'accepted' : 'unsampled');
  };

  const ended = (pid: number, atNs: TimestampNs, span: MarkedSpan): void => {
    const task = tasks.get(pid);
    const at = task?.open.findLastIndex((open) => isSame(open.span, span)) ?? -1;
    if (task === undefined || at < 0) {
      count('unpaired');
      return;
    }
    // Those within it have not been ended.
    for (let i = at + 1; i < task.open.length; i++) count('unpaired');
    close(task, at, atNs);
    count(span.isSampled ? 'accepted' : 'unsampled');
  };

  return {
    sink: {
      takes: (pid, atNs) => {
        const isTaken =
          within(all, atNs, limits.perSecond) && withinTask(taskOf(pid), atNs, limits.perTaskSecond);
        if (!isTaken) count('over_limit');
        return isTaken;
      },
      malformed: () => count('malformed'),
      began,
      ended,
      exited: (pid, atNs) => {
        const task = tasks.get(pid);
        if (task !== undefined) close(task, 0, atNs);
      },
      lost: (untilNs) => {
        for (const task of tasks.values()) {
          for (const open of task.open) if (open.beginNs < untilNs) open.endNs = untilNs;
          task.open = task.open.filter(({ beginNs }) => beginNs >= untilNs);
        }
      },
    },
    parentOf: (pid, atNs) => {
      const intervals = tasks.get(pid)?.intervals ?? [];
      const found = intervals.findLast(
        ({ beginNs, endNs }) => beginNs <= atNs && atNs < endNs && atNs - beginNs < limits.longestNs,
      );
      if (found === undefined || !found.span.isSampled) return undefined;
      return { traceId: found.span.traceId, spanId: found.span.spanId };
    },
    sweep: (nowNs) => {
      for (const [pid, task] of tasks) {
        const tooOld = task.open.findIndex(({ beginNs }) => nowNs - beginNs >= limits.longestNs);
        if (tooOld >= 0) close(task, tooOld, nowNs);
        const before = task.intervals.length;
        task.intervals = task.intervals.filter(({ endNs }) => nowNs - endNs < limits.keptNs);
        total -= before - task.intervals.length;
        if (task.intervals.length === 0) tasks.delete(pid);
      }
    },
    size: () => total,
  };
}

function isSame(a: MarkedSpan, b: MarkedSpan): boolean {
  return a.spanId === b.spanId && a.traceId === b.traceId;
}

const SECOND_NS = 1e9;

/** Counts one; whether it is within the bound of its second. */
function within(window: Window, atNs: TimestampNs, bound: number): boolean {
  if (atNs - window.sinceNs >= SECOND_NS) {
    window.sinceNs = atNs;
    window.count = 0;
  }
  return ++window.count <= bound;
}

function withinTask(task: Task | undefined, atNs: TimestampNs, bound: number): boolean {
  return task !== undefined && within(task.window, atNs, bound);
}
