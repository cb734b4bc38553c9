/**
 * Makes traces of the kind `syscalls`: a slow call, and what its thread did during the call. The child spans are the
 * periods in which the thread was blocked or waited for a CPU, long interrupts, and operations that declared metrics
 * measure. The children of a blocked period show why the thread was blocked. Children lie within their parent, and do
 * not overlap.
 */
import type { KindOptions } from '../model/span.ts';
import { seconds, taskAttributes } from './attributes.ts';
import { type CallParts, callParts, type Journals, type SlowCall } from './call-parts.ts';
import type { SpanDeps } from './deps.ts';
import type { Cause, Offer, SpanDraft, TraceDraft } from './draft.ts';
import { isInterrupt } from './interrupt-journal.ts';
import { lengthOf, longestOf } from './longest.ts';
import { endOfLoss, isOneCall } from './losses.ts';
import { type Nested, nested } from './operations.ts';
import { causesOf } from './summary.ts';
import { errorOf, exemplar } from './waits.ts';

const DURATION = 'ftrace_syscall_duration_seconds';
/** Maximum number of children of a call. The shortest are left out. */
const MOST_CHILDREN = 64;
const MAX_ERRNO = 4095;
/**
 * Errnos of calls that a signal interrupted (include/linux/errno.h: ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND,
 * ERESTART_RESTARTBLOCK). The span has no error, because the kernel usually restarts such a call.
 */
const RESTARTED: ReadonlySet<number> = new Set([512, 513, 514, 516]);
/** Calls that return an address in the program's memory or the value of a register. Their results are not exported. */
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
/** Larger results can be addresses, because no call transfers so many bytes (MAX_RW_COUNT in include/linux/fs.h). */
const LIKE_AN_ADDRESS = 2 ** 31;
const SLEEPS_INTERRUPTIBLY = 1;

/** Offers traces of calls that reached the threshold. */
export function makeSyscallTraces(options: KindOptions, offer: Offer, deps: SpanDeps, journals: Journals) {
  return (whole: SlowCall): void => {
    const call = certainPart(whole, journals);
    let countedNs = call.endNs - call.startNs;
    if (countedNs < options.thresholdNs) return;
    // If the config names no calls, interruptible sleep does not count, because it can be a wait for another program (a
    // pipe, for example).
    if (options.include === undefined) {
      countedNs -= journals.tasks.watched.sleptNs(call.pid, call.startNs, SLEEPS_INTERRUPTIBLY);
      if (countedNs < options.thresholdNs) return;
    }
    const { pid, cpu, startNs } = call;
    const subject = { pid, comm: journals.tasks.commOf(pid, cpu), atNs: startNs };
    offer('syscalls', countedNs, () => draftOf(call, deps, journals), subject);
  };
}

/** Returns the part that is certainly one call: the whole call or, if events were lost, the part after the loss. */
function certainPart(call: SlowCall, { tasks }: Journals): SlowCall {
  const { pid, startNs, endNs, lostUntilNs } = call;
  if (lostUntilNs === 0) return call;
  const losses = tasks.losses.within(startNs, endNs);
  const { absences, whole } = tasks.since(pid, startNs);
  if (losses.length > 0 && whole && isOneCall(call, absences, losses)) return call;
  return { ...call, startNs: Math.max(lostUntilNs, endOfLoss(losses, endNs)), isCut: true };
}

function draftOf(call: SlowCall, deps: SpanDeps, journals: Journals): TraceDraft {
  const { name, pid, cpu, startNs, endNs, ret } = call;
  const wholeNs = endNs - startNs;
  const parts = callParts(call, deps, journals);
  const within = nested(parts.spans, journals.operations.within(pid, startNs, endNs), endNs);
  const { shown: children, rest } = longestOf(within.spans, MOST_CHILDREN, lengthOf);
  const pruned = rest.length + within.pruned;
  const onCpuNs = wholeNs - parts.blockedNs - parts.waitedNs;
  const root: SpanDraft = {
    name: `syscall ${name}`,
    startNs,
    endNs,
    attributes: {
      ...taskAttributes(pid, journals.tasks.commOf(pid, cpu)),
      'cpu.logical_number': cpu,
      'ftrace.syscall.return': isAddress(name, ret) || Number.isNaN(ret) ? undefined : ret,
      'ftrace.time.on_cpu': seconds(onCpuNs),
      'ftrace.time.blocked': seconds(parts.blockedNs),
      'ftrace.time.runqueue': seconds(parts.waitedNs),
      'ftrace.block.issued.requests': parts.issued.requests || undefined,
      'ftrace.block.issued.bytes': parts.issued.requests === 0 ? undefined : parts.issued.bytes,
      'ftrace.children.pruned': pruned || undefined,
      'ftrace.path.cut': parts.isCut ? true : undefined,
      'ftrace.incomplete': parts.isWhole ? undefined : true,
      'ftrace.cut_at_start': call.isCut,
    },
    error: ret < 0 && ret >= -MAX_ERRNO && !RESTARTED.has(-ret) ? errorOf(deps, -ret) : undefined,
    children,
  };
  const ofCall = exemplar(deps, 'syscalls', DURATION, [name], { cpu, pid, span: root });
  return {
    root,
    pid,
    parent: deps.parentOf(pid, startNs),
    pruned,
    exemplars: [...ofCall, ...parts.exemplars],
    causes: causesOfCall(parts, within, onCpuNs),
    isLossy: call.lostUntilNs !== 0,
  };
}

function causesOfCall(parts: CallParts, within: Nested, onCpuNs: number): Cause[] {
  const { spans, remembersSwitches, hiddenNs } = parts;
  const causes = within.spans.flatMap(causesOf);
  const interruptedNs = spans.filter(isInterrupt).reduce((sum, span) => sum + lengthOf(span), 0);
  // If the ring lacks older switches, the thread may have slept in the remaining time, so the time is not explained.
  const runningNs = Math.max(0, onCpuNs - interruptedNs - hiddenNs - within.ownNs);
  if (remembersSwitches) causes.push({ label: 'running', ns: runningNs });
  return causes;
}

/** Checks the value as well as the name, because a 32-bit program's call appears under another call's name. */
function isAddress(name: string, ret: number): boolean {
  if (ret >= LIKE_AN_ADDRESS || ret < -MAX_ERRNO) return true;
  return ret >= 0 && RETURN_ADDRESSES.has(name);
}
