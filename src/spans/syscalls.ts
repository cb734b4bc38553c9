/**
 * The kind `syscalls`: a slow call, and what its thread went through meanwhile. Children of the call are times off the
 * CPU (blocked or waiting for a CPU) and long interrupts; the rest is the thread's own time on the CPU. Children of a
 * blocked time are the block requests that the thread waited for. Children lie within their parent and do not overlap.
 */
import type { BlockRequest } from '../model/intervals.ts';
import type { KindOptions } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import type { DraftAttributes } from './attributes.ts';
import { requestAttributes, seconds, stateLetter, taskAttributes } from './attributes.ts';
import type { SpanDeps } from './deps.ts';
import type { Cause, ExemplarDraft, Offer, SpanDraft, TraceDraft } from './draft.ts';
import { type InterruptJournal, isInterrupt } from './interrupt-journal.ts';
import { lengthOf, longestOf } from './longest.ts';
import { criticalPath, type RequestJournal, waitedFor } from './request-journal.ts';
import { waitSpan } from './run-queue.ts';
import { causesOf, summaryAttributes } from './summary.ts';
import type { Absence, TaskJournal } from './task-journal.ts';
import { errorOf, exemplar, requestExemplars, waitExemplar } from './waits.ts';

const DURATION = 'ftrace_syscall_duration_seconds';
/** Most children of a call; the shortest are left out. */
const MOST_CHILDREN = 64;
/** Most requests below a blocked time. */
const MOST_REQUESTS = 16;
/**
 * A sleep begins with a request that its thread issued just before, so that the request is shown whole. This is the
 * largest part of a call by which all its sleeps may begin early.
 */
const ISSUED_BEFORE_SHARE = 0.01;
const MAX_ERRNO = 4095;
/**
 * A signal ended the call (include/linux/errno.h: ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK).
 * The kernel usually restarts it, and its program sees no error.
 */
const RESTARTED: ReadonlySet<number> = new Set([512, 513, 514, 516]);
/** Calls that return an address of their program, or one of its registers. */
const RETURN_ADDRESSES: ReadonlySet<string> = new Set([
  'brk',
  'map_shadow_stack',
  'mmap',
  'mremap',
  'rt_sigreturn',
  'shmat',
  'uprobe',
  'uretprobe',
]);
/** No call moves so many bytes (MAX_RW_COUNT, include/linux/fs.h): a larger value is or may be an address. */
const LIKE_AN_ADDRESS = 2 ** 31;
const SLEEPS_INTERRUPTIBLY = 1;

export interface Journals {
  tasks: TaskJournal;
  requests: RequestJournal;
  interrupts: InterruptJournal;
}

export interface SlowCall {
  name: string;
  pid: number;
  cpu: number;
  startNs: TimestampNs;
  endNs: TimestampNs;
  ret: number;
}

/** Reports calls that reached the threshold. */
export function makeSyscallTraces(options: KindOptions, offer: Offer, deps: SpanDeps, journals: Journals) {
  return (call: SlowCall): void => {
    let countedNs = call.endNs - call.startNs;
    // For a call that the config does not name, only its time outside interruptible sleeps counts, as on a pipe.
    if (options.include === undefined) {
      countedNs -= journals.tasks.sleptNs(call.pid, call.startNs, SLEEPS_INTERRUPTIBLY);
      if (countedNs < options.thresholdNs) return;
    }
    offer('syscalls', countedNs, () => draftOf(call, deps, journals));
  };
}

function draftOf(call: SlowCall, deps: SpanDeps, { tasks, requests, interrupts }: Journals): TraceDraft {
  const { name, pid, cpu, startNs, endNs, ret } = call;
  const { absences, comm, whole } = tasks.since(pid, startNs);
  const { requests: during, whole: hasAllRequests } = requests.within(startNs, endNs);
  const made: Made = { spans: [], exemplars: [], pruned: 0, blockedNs: 0, waitedNs: 0, earlierLeftNs: 0 };
  const wholeNs = endNs - startNs;
  made.earlierLeftNs = wholeNs * ISSUED_BEFORE_SHARE;
  const seen = new Set<BlockRequest>();
  /** End of the last child: since then the thread is on this CPU. */
  let freeNs = startNs;
  let onCpu = absences.length === 0 ? cpu : -1;
  for (const absence of absences) {
    const { outNs, inNs, state } = absence;
    if (outNs < freeNs || inNs > endNs) continue;
    const runnableNs = state === 0 ? outNs : Math.max(outNs, absence.runnableNs || inNs);
    const sleep = { pid, runnableNs, freeNs, during, seen };
    const asleep = runnableNs > outNs ? [blocked(absence, sleep, deps, made)] : [];
    if (onCpu >= 0) made.spans.push(...interrupts.spans(onCpu, freeNs, asleep.at(0)?.startNs ?? outNs));
    made.spans.push(...asleep);
    if (inNs > runnableNs) {
      const { cpu, queueCpu, culprit } = absence;
      const wait = { pid, cpu, queueCpu, culprit, startNs: runnableNs, endNs: inNs };
      const span = waitSpan(wait, { tasks, deps, wholeNs }, { 'ftrace.preempted': state === 0 });
      made.spans.push(span);
      made.exemplars.push(...waitExemplar(deps, absence, span));
      made.waitedNs += inNs - runnableNs;
    }
    freeNs = inNs;
    onCpu = absence.cpu;
  }
  if (onCpu >= 0) made.spans.push(...interrupts.spans(onCpu, freeNs, endNs));
  const { shown: children, rest } = longestOf(made.spans, MOST_CHILDREN, lengthOf);
  const pruned = rest.length;
  const isWhole = whole && hasAllRequests && absences.every(({ isSeen }) => isSeen);
  const onCpuNs = wholeNs - made.blockedNs - made.waitedNs;
  const causes = made.spans.flatMap(causesOf);
  const interruptedNs = made.spans.filter(isInterrupt).reduce((sum, span) => sum + lengthOf(span), 0);
  // Where older switches are forgotten, it may have slept instead.
  if (whole) causes.push({ label: 'running', ns: onCpuNs - interruptedNs });
  const root: SpanDraft = {
    name: `syscall ${name}`,
    startNs,
    endNs,
    attributes: {
      ...taskAttributes(pid, comm || tasks.history.commOf(cpu, pid)),
      'cpu.logical_number': cpu,
      'ftrace.syscall.return': isAddress(name, ret) || Number.isNaN(ret) ? undefined : ret,
      'ftrace.time.on_cpu': seconds(onCpuNs),
      'ftrace.time.blocked': seconds(made.blockedNs),
      'ftrace.time.runqueue': seconds(made.waitedNs),
      ...summaryAttributes(wholeNs, causes),
      'ftrace.children.pruned': pruned || undefined,
      'ftrace.incomplete': isWhole ? undefined : true,
    },
    error: ret < 0 && ret >= -MAX_ERRNO && !RESTARTED.has(-ret) ? errorOf(deps, -ret) : undefined,
    children,
  };
  const ofCall = exemplar(deps, 'syscalls', DURATION, [name], { cpu, span: root });
  return {
    root,
    pid,
    parent: deps.parentOf(pid, startNs),
    pruned: made.pruned + pruned,
    exemplars: [...ofCall, ...made.exemplars],
  };
}

/** The name is not enough: calls of 32-bit programs show under the names of other calls. */
function isAddress(name: string, ret: number): boolean {
  if (ret >= LIKE_AN_ADDRESS || ret < -MAX_ERRNO) return true;
  return ret >= 0 && RETURN_ADDRESSES.has(name);
}

interface Made {
  spans: SpanDraft[];
  exemplars: ExemplarDraft[];
  pruned: number;
  blockedNs: number;
  waitedNs: number;
  /** By how much further sleeps may begin before their thread left the CPU. */
  earlierLeftNs: number;
}

interface Sleep {
  pid: number;
  runnableNs: TimestampNs;
  /** From here on no other child is shown. */
  freeNs: TimestampNs;
  during: readonly BlockRequest[];
  /** Requests that an earlier sleep shows. */
  seen: Set<BlockRequest>;
}

function requestCause({ operation, device, completeNs }: BlockRequest, startNs: TimestampNs): Cause {
  return { label: `block ${operation} ${device}`, ns: completeNs - startNs };
}

/** The span of a blocked time, with the requests that its thread waited for. */
function blocked(absence: Absence, sleep: Sleep, deps: SpanDeps, made: Made): SpanDraft {
  const { outNs, state, waker } = absence;
  const { pid, runnableNs, freeNs, during, seen } = sleep;
  const sleeper = { ...absence, pid, wokenNs: runnableNs };
  const waited = during.filter((r) => !seen.has(r) && r.completeNs > outNs && waitedFor(r, sleeper));
  const path = criticalPath(waited);
  for (const request of waited) seen.add(request);
  const first = path.at(0);
  const issuedNs = first === undefined ? outNs : first.issueNs;
  // The thread ran for a moment while its request was under way: count that as part of the wait, so that the request is
  // shown whole.
  const earlierNs = issuedNs < outNs && issuedNs >= freeNs ? outNs - issuedNs : 0;
  const startNs = earlierNs <= made.earlierLeftNs ? outNs - earlierNs : outNs;
  made.earlierLeftNs -= outNs - startNs;
  const { shown } = longestOf(path, MOST_REQUESTS, (r) => r.completeNs - r.issueNs);
  const children = shown.map((request): SpanDraft => {
    const isCut = request.issueNs < startNs;
    const span: SpanDraft = {
      name: `block ${request.operation}`,
      startNs: isCut ? startNs : request.issueNs,
      endNs: request.completeNs,
      attributes: {
        ...requestAttributes(request),
        'cpu.logical_number': request.cpu,
        'ftrace.cut_at_start': isCut ? true : undefined,
      },
      error: errorOf(deps, request.errno),
      children: [],
      causes: [requestCause(request, isCut ? startNs : request.issueNs)],
    };
    made.exemplars.push(...requestExemplars(deps, request, span));
    return span;
  });
  const pruned = waited.length - shown.length;
  made.pruned += pruned;
  made.blockedNs += runnableNs - outNs;
  const attributes: DraftAttributes = {
    'ftrace.task.state': stateLetter(state),
    'ftrace.waker.thread.id': waker || undefined,
    'ftrace.block.requests': waited.length || undefined,
  };
  return { name: 'blocked', startNs, endNs: runnableNs, attributes, children };
}
