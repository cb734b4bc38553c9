/**
 * Explains a sleep by the chain of wake-ups that ended it: what the waker did before, what woke the waker, and so on.
 * See Giraldeau and Dagenais, "Wait analysis of distributed systems using kernel tracing" (2016).
 */
import type { BlockRequest } from '../model/intervals.ts';
import { LOCK_TYPES, OTHER_LOCK } from '../model/lock-types.ts';
import type { TimestampNs } from '../model/time.ts';
import { BY_RAISED_SOFTIRQ, BY_SOFTIRQ, BY_TASK, BY_TIMER, wakeKind } from '../model/wake-codes.ts';
import type { Absence } from './absence-ring.ts';
import { type DraftAttributes, stateLetter, taskAttributes } from './attributes.ts';
import type { SpanDeps } from './deps.ts';
import type { Cause, SpanDraft } from './draft.ts';
import { Requests, requestSpan, type Sleep } from './requests.ts';
import { waitSpan } from './run-queue.ts';
import { type Step, stepsOf } from './steps.ts';
import { causesOf } from './summary.ts';
import type { TaskJournal } from './task-journal.ts';

/** Maximum number of wake-ups in a chain. */
const DEEPEST = 8;
/** Maximum number of spans in all paths of one operation. */
const MOST_SPANS = 256;
/** Consecutive steps shorter than this share of the whole operation are combined into one span. */
const SHORT_SHARE = 0.01;
/** Kernel threads that run softirqs. If a softirq in such a thread ends a sleep, the thread counts as the waker. */
const SOFTIRQ_TASKS = /^(ksoftirqd|ktimers|irq)\//;

export interface PathParts {
  tasks: TaskJournal;
  /** Block requests that completed during the operation, in order of completion. */
  requests: readonly BlockRequest[];
  nameOf(wokenBy: number): string | undefined;
  workOf(pid: number, atNs: TimestampNs): string | undefined;
  deps: SpanDeps;
  /** Duration of the whole operation. */
  wholeNs: number;
}

export class Path {
  /** True if a limit was reached, so that some causes are missing. */
  isCut = false;
  /** Spans of block requests, each with its request. */
  readonly shown = new Map<SpanDraft, BlockRequest>();
  readonly #parts: PathParts;
  readonly #requests: Requests;
  #spans = 0;

  constructor(parts: PathParts) {
    this.#parts = parts;
    this.#requests = new Requests(parts.requests);
  }

  /** Returns the spans that explain a sleep, oldest first. Time without a span is unexplained. */
  sleep(sleep: Sleep, depth = 0): SpanDraft[] {
    const { fromNs, toNs, wokenBy } = sleep;
    if (wakeKind(wokenBy) === BY_TIMER) return [this.#end('timer', sleep, depth)];
    const waker = this.#wakerOf(sleep);
    const request = this.#requests.thatEnded(sleep, waker);
    if (request !== undefined) return this.#request(request, waker, sleep, depth);
    if (waker !== 0) return this.#task(waker, fromNs, toNs, depth + 1) ?? [];
    const name = this.#parts.nameOf(wokenBy);
    return name === undefined ? [] : [this.#end(name, sleep, depth)];
  }

  /** Replaces the span of a request by a span that begins when the request was issued. Returns the new span. */
  whole(span: SpanDraft, request: BlockRequest): SpanDraft {
    const uncut = requestSpan(request, request.issueNs, this.#parts.deps, {
      children: span.children,
      causes: span.children.flatMap(causesOf),
    });
    this.shown.delete(span);
    this.shown.set(uncut, request);
    return uncut;
  }

  /** Returns the task that ended a sleep; 0 if an interrupt ended it, or if the waker is unknown. */
  #wakerOf({ wokenBy, waker }: Sleep): number {
    const kind = wakeKind(wokenBy);
    if (kind === BY_TASK || kind === BY_RAISED_SOFTIRQ) return waker;
    const isOfTask = kind === BY_SOFTIRQ && SOFTIRQ_TASKS.test(this.#parts.tasks.all.commOf(waker));
    return isOfTask ? waker : 0;
  }

  /** Returns the spans of a sleep that a request ended. `completer` is the completing task; 0 for an interrupt. */
  #request(request: BlockRequest, completer: number, sleep: Sleep, depth: number): SpanDraft[] {
    const { fromNs, toNs } = sleep;
    const { issueNs, completeNs } = request;
    const startNs = Math.max(fromNs, issueNs);
    const during = completer === 0 ? [] : (this.#task(completer, startNs, completeNs, depth + 1) ?? []);
    const children = during.filter((span) => span.name !== 'blocked' || isChain(span));
    const below = { children, causes: children.flatMap(causesOf) };
    const span = requestSpan(request, startNs, this.#parts.deps, below);
    this.shown.set(span, request);
    this.#spans++;
    const before = startNs > fromNs ? this.#beforeIssue(request, { ...sleep, toNs: startNs }, depth) : [];
    const after = completer === 0 ? [] : (this.#task(completer, completeNs, toNs, depth + 1) ?? []);
    return [...before, span, ...after];
  }

  /** Returns spans that show what a sleeping task waited for until `request` was issued. */
  #beforeIssue(request: BlockRequest, sleep: Sleep, depth: number): SpanDraft[] {
    const { pid, fromNs, toNs } = sleep;
    const { issuer, insertNs, device } = request;
    if (depth >= DEEPEST) {
      this.isCut = true;
      return [];
    }
    if (issuer !== 0 && issuer !== pid) {
      const spans = this.#task(issuer, fromNs, toNs, depth + 1);
      if (spans !== undefined) return spans.map((span) => inQueue(span, request));
    }
    const earlier = this.#requests.before(request, sleep);
    if (earlier !== undefined) return this.#request(earlier, earlier.completer, sleep, depth + 1);
    const queuedNs = Math.max(fromNs, insertNs);
    return insertNs === 0 || queuedNs >= toNs ? [] : [queueSpan(device, queuedNs, toNs)];
  }

  /** Returns what a task did until it ran at `toNs`, oldest first; undefined if unknown, or if a limit was reached. */
  #task(pid: number, fromNs: TimestampNs, toNs: TimestampNs, depth: number): SpanDraft[] | undefined {
    const { tasks, wholeNs } = this.#parts;
    if (depth > DEEPEST || this.#spans >= MOST_SPANS) {
      this.isCut = true;
      return undefined;
    }
    const steps = stepsOf(tasks.all, pid, fromNs, toNs);
    if (steps === undefined) return undefined;
    const who = { pid, comm: tasks.all.commOf(pid), depth, work: this.#parts.workOf(pid, toNs) };
    const spans: SpanDraft[] = [];
    let row: Step[] = [];
    const endRow = (): void => {
      if (row.length === 1) spans.push(this.#step(row[0], who));
      else if (row.length > 1) spans.push(this.#shortSteps(row, who));
      row = [];
    };
    for (const step of steps) {
      const isShort = step.endNs - step.startNs < wholeNs * SHORT_SHARE;
      if (!isShort || row.at(-1)?.endNs !== step.startNs) endRow();
      row.push(step);
      if (!isShort) endRow();
    }
    endRow();
    return spans;
  }

  #step(step: Step, who: Who): SpanDraft {
    const { kind, startNs, endNs, absence } = step;
    this.#spans++;
    const attributes = whoAttributes(who);
    if (kind === 'run' || absence === undefined) {
      const cpu = { 'cpu.logical_number': absence?.cpu };
      const causes = [runCause(step, who)];
      return { name: 'running', startNs, endNs, attributes: { ...attributes, ...cpu }, children: [], causes };
    }
    if (kind === 'wait') {
      const { cpu, queueCpu, state } = absence;
      const wait = { pid: who.pid, comm: who.comm, cpu, queueCpu, startNs, endNs };
      return waitSpan(wait, this.#parts, { ...attributes, 'ftrace.preempted': state === 0 });
    }
    const sleep = { ...absence, pid: who.pid, fromNs: startNs, toNs: endNs };
    const children = this.sleep(sleep, who.depth);
    return {
      name: 'blocked',
      startNs,
      endNs,
      attributes: { ...attributes, ...sleepAttributes(absence, this.wakerOf(absence, who.pid)) },
      children,
      causes: sleepCauses(absence, children, endNs - startNs),
    };
  }

  /** Combines short steps into one span. Does not follow the wake-ups that ended short sleeps. */
  #shortSteps(steps: readonly Step[], who: Who): SpanDraft {
    this.#spans++;
    const causes = steps.flatMap((step): Cause[] => {
      const { kind, startNs, endNs, absence } = step;
      if (kind === 'run') return [runCause(step, who)];
      if (absence === undefined) return [];
      const ns = endNs - startNs;
      if (kind === 'sleep') {
        const name = this.#parts.nameOf(absence.wokenBy);
        return name === undefined ? [] : [{ label: `${name} of ${who.comm}`, ns }];
      }
      const culprit = this.#parts.tasks.history.culprit(absence.queueCpu, startNs, endNs);
      if (culprit === undefined) return [];
      const label = `${who.comm} waited for CPU ${absence.queueCpu} behind ${culprit.comm}`;
      return [{ label, ns: Math.min(ns, culprit.ranNs) }];
    });
    return {
      name: 'short steps',
      startNs: steps[0].startNs,
      endNs: steps[steps.length - 1].endNs,
      attributes: { ...whoAttributes(who), 'ftrace.steps': steps.length },
      children: [],
      causes,
    };
  }

  /** Returns the task that ended an absence; 0 if an interrupt ended it, or if the waker is unknown. */
  wakerOf(absence: Absence, pid: number): number {
    return this.#wakerOf({ ...absence, pid, fromNs: 0, toNs: 0 });
  }

  /** Makes the span of a sleep that a timer, an interrupt or a softirq ended. `name` is the waker, as in `irq eth0`. */
  #end(name: string, { pid, fromNs, toNs, wakerCpu }: Sleep, depth: number): SpanDraft {
    this.#spans++;
    const [kind, ...rest] = name.split(' ');
    const which = rest.join(' ') || undefined;
    const whose = depth === 0 ? '' : ` of ${this.#parts.tasks.all.commOf(pid)}`;
    return {
      name: kind,
      startNs: fromNs,
      endNs: toNs,
      attributes: {
        'cpu.logical_number': wakerCpu < 0 ? undefined : wakerCpu,
        'ftrace.irq.handler': kind === 'irq' ? which : undefined,
        'ftrace.softirq.vector': kind === 'softirq' ? which : undefined,
      },
      children: [],
      causes: [{ label: `${name}${whose}`, ns: toNs - fromNs }],
    };
  }
}

/** A task in the chain of wake-ups. */
interface Who {
  pid: number;
  comm: string;
  depth: number;
  /** Function that the task runs, if the task is a kworker. */
  work: string | undefined;
}

function whoAttributes({ pid, comm, work }: Who): DraftAttributes {
  return { ...taskAttributes(pid, comm), 'ftrace.workqueue.function': work };
}

function runCause({ startNs, endNs }: Step, { comm, work }: Who): Cause {
  return { label: work === undefined ? `${comm} ran` : `workqueue ${work}`, ns: endNs - startNs };
}

/** Whether the span of a sleep has a child other than the span of an interrupt, a softirq or a timer. */
function isChain({ children }: SpanDraft): boolean {
  return children.some(({ name }) => name !== 'irq' && name !== 'softirq' && name !== 'timer');
}

function queueSpan(device: string, startNs: TimestampNs, endNs: TimestampNs): SpanDraft {
  const causes = [{ label: `block queue ${device}`, ns: endNs - startNs }];
  return {
    name: 'block queue',
    startNs,
    endNs,
    attributes: { 'system.device': device },
    children: [],
    causes,
  };
}

/** Returns a span of the block queue if `span` is an unexplained sleep of the issuer: the device was busy. */
function inQueue(span: SpanDraft, { device, insertNs }: BlockRequest): SpanDraft {
  const startNs = Math.max(span.startNs, insertNs);
  const isQueued = span.name === 'blocked' && !isChain(span) && insertNs !== 0 && startNs < span.endNs;
  return isQueued ? queueSpan(device, startNs, span.endNs) : span;
}

export function sleepAttributes({ state, lock }: Absence, waker: number): DraftAttributes {
  return {
    'ftrace.task.state': stateLetter(state),
    'ftrace.waker.thread.id': waker || undefined,
    'ftrace.lock.type': lock < 0 ? undefined : lockType(lock),
  };
}

/** Returns the causes of a sleep on a lock: the causes of the children, and the lock for the remaining time. */
export function sleepCauses(
  { lock }: Absence,
  children: readonly SpanDraft[],
  ns: number,
): Cause[] | undefined {
  if (lock < 0) return undefined;
  const causes = children.flatMap(causesOf);
  const restNs = causes.reduce((rest, cause) => rest - cause.ns, ns);
  return [...causes, { label: `lock ${lockType(lock)}`, ns: restNs }];
}

function lockType(lock: number): string {
  return LOCK_TYPES[lock] ?? OTHER_LOCK;
}
