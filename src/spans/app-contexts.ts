/**
 * Remembers which span of an application each thread was in, and when, from the markers that programs write. It gives
 * the kernel's spans their parents. Any program that may write can write anything, so all memory is bounded, and markers
 * that do not fit are counted.
 *
 * A thread's spans nest; the innermost open one is its context. A loss of events ends all contexts, because their ends
 * may be lost: a wrong parent is worse than none. Ended spans are remembered for a while, for operations that began in
 * them and are reported later.
 */
import type { MarkedSpan, MarkerSink } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import type { RemoteParent } from './deps.ts';

/** Values of the label `outcome` of a marker. */
export const MARKER_OUTCOMES = ['accepted', 'unsampled', 'malformed', 'unpaired', 'over_limit'] as const;
export type MarkerOutcome = (typeof MARKER_OUTCOMES)[number];

export interface ContextLimits {
  /** Most open spans of one thread. */
  depth: number;
  /** Most spans that are remembered, of one thread and of all. */
  perTask: number;
  total: number;
  /** Most threads. */
  tasks: number;
  /** Most markers per second, of one thread and of all. */
  perTaskSecond: number;
  perSecond: number;
  /** How long an ended span is remembered. */
  keptNs: number;
  /** How long a span can last: one that its program does not end is ended then. */
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
  /** Oldest first. */
  intervals: Interval[];
  /** Open ones, the innermost last. */
  open: Interval[];
  window: Window;
}

/** Counts markers within a second. */
interface Window {
  sinceNs: TimestampNs;
  count: number;
}

export interface AppContexts {
  sink: MarkerSink;
  /** The span that a thread was in at that time; undefined if it was in none, or in one that is not sampled. */
  parentOf(pid: number, atNs: TimestampNs): RemoteParent | undefined;
  /** Forgets spans that ended long ago. Called about once a second. */
  sweep(nowNs: TimestampNs): void;
  /** Number of remembered spans. */
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

  /** Makes room for one more span: drops the one that ended first. */
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
    // The program has not ended the spans within it.
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

/** Ends the open spans from this index on. */
function close(task: Task, from: number, atNs: TimestampNs): void {
  for (let i = from; i < task.open.length; i++) task.open[i].endNs = Math.max(atNs, task.open[i].beginNs);
  task.open.length = from;
}

/** Ends the open spans that began before this time. */
function closeBefore(task: Task, untilNs: TimestampNs): void {
  for (const open of task.open) if (open.beginNs < untilNs) open.endNs = untilNs;
  task.open = task.open.filter(({ beginNs }) => beginNs >= untilNs);
}

function isSame(a: MarkedSpan, b: MarkedSpan): boolean {
  return a.spanId === b.spanId && a.traceId === b.traceId;
}

const SECOND_NS = 1e9;

/** Counts a marker. False if its second has more than `bound`. */
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
