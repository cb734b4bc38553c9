/**
 * Makes traces of the kind `syscalls`: a slow call. Its children are blocked times, waits for a CPU, long interrupts,
 * and operations (see operations.ts). Children do not overlap.
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
/** Maximum number of child spans of a call. If a call has more, the shortest are left out. */
const MOST_CHILDREN = 64;
const MAX_ERRNO = 4095;
/** ERESTARTSYS and similar (include/linux/errno.h): the kernel usually restarts these calls, so they did not fail. */
const RESTARTED: ReadonlySet<number> = new Set([512, 513, 514, 516]);
/** Calls that return an address or the value of a register. Their results are not exported. */
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
/** A result from this value on may be an address, because no call transfers so many bytes (MAX_RW_COUNT). */
const LIKE_AN_ADDRESS = 2 ** 31;
const SLEEPS_INTERRUPTIBLY = 1;

/** Returns a function that offers a trace of a call if the call reached the threshold. */
export function makeSyscallTraces(options: KindOptions, offer: Offer, deps: SpanDeps, journals: Journals) {
  return (whole: SlowCall): void => {
    const call = certainPart(whole, journals);
    let countedNs = call.endNs - call.startNs;
    if (countedNs < options.thresholdNs) return;
    // By default, interruptible sleep does not count, because the thread may have waited for another program.
    if (options.include === undefined) {
      countedNs -= journals.tasks.watched.sleptNs(call.pid, call.startNs, SLEEPS_INTERRUPTIBLY);
      if (countedNs < options.thresholdNs) return;
    }
    const { pid, cpu, startNs } = call;
    const subject = { pid, comm: journals.tasks.commOf(pid, cpu), atNs: startNs };
    offer('syscalls', countedNs, () => draftOf(call, deps, journals), subject);
  };
}

/** If lost events may hide that `call` is two calls, returns only the part after the loss. */
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
  // If the ring has overwritten switches of the call, the thread may have slept in the remaining time.
  const runningNs = Math.max(0, onCpuNs - interruptedNs - hiddenNs - within.ownNs);
  if (remembersSwitches) causes.push({ label: 'running', ns: runningNs });
  return causes;
}

/** Whether a result may be an address. Checks the value too, because 32-bit calls appear under other names. */
function isAddress(name: string, ret: number): boolean {
  if (ret >= LIKE_AN_ADDRESS || ret < -MAX_ERRNO) return true;
  return ret >= 0 && RETURN_ADDRESSES.has(name);
}
