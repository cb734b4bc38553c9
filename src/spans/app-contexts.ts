/**
 * Tracks the current application span of each thread: the parent of the thread's kernel spans. Programs report spans
 * with markers (texts written to `trace_marker`). Any program can write markers, so all memory is limited. A loss of
 * events ends all open spans, because no parent is better than a wrong one.
 */
import type { MarkedSpan, MarkerSink } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import type { RemoteParent } from './deps.ts';

/** Values of the label `outcome` of the metric that counts markers. */
export const MARKER_OUTCOMES = ['accepted', 'unsampled', 'malformed', 'unpaired', 'over_limit'] as const;
export type MarkerOutcome = (typeof MARKER_OUTCOMES)[number];

export interface ContextLimits {
  /** Maximum number of open spans per thread. */
  depth: number;
  /** Maximum number of open and ended spans in memory, per thread (`perTask`) and of all threads (`total`). */
  perTask: number;
  total: number;
  /** Maximum number of threads. */
  tasks: number;
  /** Maximum number of markers per second, per thread (`perTaskSecond`) and of all threads (`perSecond`). */
  perTaskSecond: number;
  perSecond: number;
  /** How long an ended span is kept, because operations can be reported after the span has ended. */
  keptNs: number;
  /** Maximum duration of a span. The agent ends spans that last longer. */
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
  /** Infinity while the span is open. */
  endNs: TimestampNs;
  span: MarkedSpan;
}

interface Task {
  /** Open and recently ended spans, oldest first. */
  intervals: Interval[];
  /** Open spans, innermost last. */
  open: Interval[];
  window: Window;
}

/** Counts the markers in the second that began at `sinceNs`. */
interface Window {
  sinceNs: TimestampNs;
  count: number;
}

export interface AppContexts {
  sink: MarkerSink;
  /** Returns the thread's innermost application span at this time; undefined if none, or if it is not sampled. */
  parentOf(pid: number, atNs: TimestampNs): RemoteParent | undefined;
  /** Removes spans that ended more than `keptNs` ago, and ends spans that are older than `longestNs`. */
  sweep(nowNs: TimestampNs): void;
  /** Number of open and ended spans in memory. */
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
    const existing = tasks.get(pid);
    if (existing !== undefined || tasks.size >= limits.tasks) return existing;
    const task: Task = { intervals: [], open: [], window: { sinceNs: 0, count: 0 } };
    tasks.set(pid, task);
    return task;
  };

  /** Makes room for one span by evicting the thread's oldest ended span, if needed. Returns false if there is none. */
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
    // The program ended this span without ending the spans inside it.
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
        for (const task of tasks.values()) closeBefore(task, untilNs);
      },
    },
    parentOf: (pid, atNs) => {
      const intervals = tasks.get(pid)?.intervals ?? [];
      const context = intervals.findLast(
        ({ beginNs, endNs }) => beginNs <= atNs && atNs < endNs && atNs - beginNs < limits.longestNs,
      );
      if (context === undefined || !context.span.isSampled) return undefined;
      return { traceId: context.span.traceId, spanId: context.span.spanId };
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

/** Ends the open spans from index `from` on. */
function close(task: Task, from: number, atNs: TimestampNs): void {
  for (let i = from; i < task.open.length; i++) task.open[i].endNs = Math.max(atNs, task.open[i].beginNs);
  task.open.length = from;
}

/** Ends the open spans that began before `untilNs`. */
function closeBefore(task: Task, untilNs: TimestampNs): void {
  for (const open of task.open) if (open.beginNs < untilNs) open.endNs = untilNs;
  task.open = task.open.filter(({ beginNs }) => beginNs >= untilNs);
}

function isSame(a: MarkedSpan, b: MarkedSpan): boolean {
  return a.spanId === b.spanId && a.traceId === b.traceId;
}

const SECOND_NS = 1e9;

/** Counts a marker. Returns false if the window's second already has `bound` markers. */
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
