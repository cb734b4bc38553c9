/** Divides a slow syscall into absences (periods in which the thread was not running) and long interrupts. */
import type { TimestampNs } from '../model/time.ts';
import type { Absence } from './absence-ring.ts';
import type { SpanDeps } from './deps.ts';
import type { ExemplarDraft, SpanDraft } from './draft.ts';
import type { InterruptJournal } from './interrupt-journal.ts';
import { endOfLoss, type Loss } from './losses.ts';
import type { OperationJournal } from './operations.ts';
import { Path, type PathParts, sleepAttributes, sleepCauses } from './path.ts';
import type { RequestJournal } from './request-journal.ts';
import { waitSpan } from './run-queue.ts';
import { isHidden } from './steps.ts';
import { requestExemplars, waitExemplar } from './waits.ts';

/** Maximum share of a call by which sleep spans may begin early, to contain the issue of their block requests. */
const ISSUED_BEFORE_SHARE = 0.01;
/** Value of `state` for a sleep whose task state was not recorded: a bit that no kernel state uses. */
const UNKNOWN_STATE = 1 << 18;

export interface Journals extends Pick<PathParts, 'tasks' | 'nameOf' | 'workOf'> {
  requests: RequestJournal;
  interrupts: InterruptJournal;
  operations: OperationJournal;
}

export interface SlowCall {
  name: string;
  pid: number;
  cpu: number;
  startNs: TimestampNs;
  endNs: TimestampNs;
  ret: number;
  /** End of the last loss of events during the call; 0 if there was none. */
  lostUntilNs: TimestampNs;
  /** True if the real start of the call is uncertain. `startNs` is then the end of a loss of events. */
  isCut?: boolean;
}

export interface CallParts {
  /** Spans in time order, without overlap. */
  spans: SpanDraft[];
  exemplars: ExemplarDraft[];
  blockedNs: number;
  waitedNs: number;
  /** Time outside `spans` in which it is unknown whether the thread ran. */
  hiddenNs: number;
  /** False if the ring has overwritten task switches of the call. */
  remembersSwitches: boolean;
  /** False if events of the call were lost, overwritten in a ring, or never recorded. */
  isWhole: boolean;
  /** Number and bytes of the block requests that the thread queued during the call, except those with a span. */
  issued: { requests: number; bytes: number };
  /** True if some causes of sleeps are missing, because `Path` reached a limit. */
  isCut: boolean;
}

interface Walk extends CallParts {
  call: SlowCall;
  deps: SpanDeps;
  journals: Journals;
  path: Path;
  /** End of the last absence that was added, or the start of the call. */
  freeNs: TimestampNs;
  /** CPU on which the thread ran after `freeNs`; negative if unknown. */
  onCpu: number;
  losses: readonly Loss[];
  /** Time by which sleep spans may still begin early: see `ISSUED_BEFORE_SHARE`. */
  earlierLeftNs: number;
}

export function callParts(call: SlowCall, deps: SpanDeps, journals: Journals): CallParts {
  const { pid, cpu, startNs, endNs } = call;
  const { tasks, requests, nameOf, workOf } = journals;
  const wholeNs = endNs - startNs;
  const { absences, whole } = tasks.since(pid, startNs);
  const during = requests.within(startNs, endNs);
  const walk: Walk = {
    ...{ call, deps, journals, spans: [], exemplars: [], blockedNs: 0, waitedNs: 0, hiddenNs: 0 },
    isCut: false,
    issued: { requests: 0, bytes: 0 },
    path: new Path({ tasks, requests: during.requests, nameOf, workOf, deps, wholeNs }),
    freeNs: startNs,
    onCpu: absences.length === 0 ? cpu : -1,
    losses: call.lostUntilNs === 0 ? [] : tasks.losses.within(startNs, endNs),
    earlierLeftNs: wholeNs * ISSUED_BEFORE_SHARE,
    remembersSwitches: whole,
    isWhole: call.lostUntilNs === 0 && whole && during.whole && absences.every(({ isSeen }) => isSeen),
  };
  for (const absence of absences.map((absence) => sinceLoss(absence, startNs)))
    if (absence.outNs >= walk.freeNs && absence.inNs <= endNs) addAbsence(walk, absence);
  // No event shows what the thread did between a loss and the thread's first event after the loss.
  if (call.isCut)
    walk.hiddenNs +=
      Math.min(endNs, absences[0]?.outNs || (absences.length === 0 ? endNs : startNs)) - startNs;
  addInterrupts(walk, endNs);
  walk.isCut = walk.path.isCut;
  const shown = new Set(walk.path.shown.values());
  for (const request of during.requests) {
    const began = request.insertNs || request.issueNs;
    if (request.pid !== pid || began < startNs || shown.has(request)) continue;
    walk.issued.requests++;
    walk.issued.bytes += request.bytes;
  }
  for (const [span, request] of walk.path.shown)
    walk.exemplars.push(...requestExemplars(deps, request, span));
  return walk;
}

/**
 * If the start of an absence was not recorded, returns a copy that starts at `lossNs`. If the wake-up was not recorded
 * either, `isHidden` is true for the copy.
 */
function sinceLoss(absence: Absence, lossNs: TimestampNs): Absence {
  if (absence.outNs !== 0) return absence;
  const isSleep = absence.runnableNs !== 0;
  return { ...absence, outNs: lossNs, state: isSleep ? UNKNOWN_STATE : 0, isSeen: isSleep };
}

function addAbsence(walk: Walk, absence: Absence): void {
  const { outNs, inNs, state, cpu, queueCpu } = absence;
  if (isHidden(absence)) {
    walk.hiddenNs += inNs - outNs;
    walk.freeNs = inNs;
    return;
  }
  const runnableNs = state === 0 ? outNs : Math.max(outNs, absence.runnableNs || inNs);
  const asleep = runnableNs > outNs ? blocked(walk, absence, runnableNs) : undefined;
  addInterrupts(walk, asleep?.startNs ?? outNs);
  if (asleep !== undefined) walk.spans.push(asleep);
  if (inNs > runnableNs) {
    const { call, deps, journals } = walk;
    const { tasks } = journals;
    const culprit = tasks.culprit(absence);
    const wait = { pid: call.pid, cpu, queueCpu, culprit, startNs: runnableNs, endNs: inNs };
    const parts = { tasks, wholeNs: call.endNs - call.startNs };
    const span = waitSpan(wait, parts, { 'ftrace.preempted': state === 0 });
    walk.spans.push(span);
    walk.exemplars.push(...waitExemplar(deps, absence, span));
    walk.waitedNs += inNs - runnableNs;
  }
  walk.freeNs = inNs;
  walk.onCpu = cpu;
}

function addInterrupts({ spans, journals, onCpu, freeNs }: Walk, untilNs: TimestampNs): void {
  if (onCpu >= 0) spans.push(...journals.interrupts.spans(onCpu, freeNs, untilNs));
}

function blocked(walk: Walk, absence: Absence, runnableNs: TimestampNs): SpanDraft {
  const { path, call, freeNs } = walk;
  const { outNs } = absence;
  // Lost events could show other causes, so look for causes only after the last loss.
  const fromNs = Math.max(outNs, endOfLoss(walk.losses, runnableNs));
  const children = path.sleep({ ...absence, pid: call.pid, fromNs, toNs: runnableNs });
  const first = children.at(0);
  const request = first && path.shown.get(first);
  let startNs = outNs;
  // The thread issued the request, then ran briefly before it slept. Let the span contain the whole request.
  if (first !== undefined && request !== undefined && request.issueNs < outNs && request.issueNs >= freeNs) {
    const earlierNs = outNs - request.issueNs;
    if (earlierNs <= walk.earlierLeftNs) {
      walk.earlierLeftNs -= earlierNs;
      startNs = request.issueNs;
      children[0] = path.whole(first, request);
    }
  }
  walk.blockedNs += runnableNs - outNs;
  const shown = children.filter((child) => path.shown.has(child)).length;
  const attributes = {
    ...sleepAttributes(absence, path.wakerOf(absence, call.pid)),
    'ftrace.block.requests': shown || undefined,
  };
  const causes = sleepCauses(absence, children, runnableNs - startNs);
  return { name: 'blocked', startNs, endNs: runnableNs, attributes, children, causes };
}
