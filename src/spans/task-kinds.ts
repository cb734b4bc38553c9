/** Makes the sinks of the kinds `syscalls`, `sched`, `block` and `metrics`, and the journals that these kinds share. */
import type {
  BlockSink,
  InterruptSink,
  IntervalSinks,
  OperationSink,
  SyscallSink,
  TaskSink,
} from '../model/intervals.ts';
import type { KindOptions, SpansConfig } from '../model/span.ts';
import type { Journals } from './call-parts.ts';
import type { SpanDeps } from './deps.ts';
import type { Offer } from './draft.ts';
import { InterruptJournal, LONG_INTERRUPT_NS } from './interrupt-journal.ts';
import { LONG_OPERATION_NS, makeOperationTraces, OperationJournal } from './operations.ts';
import { RequestJournal } from './request-journal.ts';
import { makeSyscallTraces } from './syscalls.ts';
import { CULPRIT_NS, TaskJournal } from './task-journal.ts';
import { waitsByNature } from './waiting-syscalls.ts';
import { makeRequestTraces, makeWaitTraces } from './waits.ts';

/** Threshold of a kind that is off. */
const NEVER = Number.POSITIVE_INFINITY;

/** Functions that connect the sinks of the syscalls probe and of the task probe. */
interface Links {
  /** Returns the start time of the task's call. Set by the syscalls probe: see `SyscallSink.watch`. */
  since(pid: number): number;
  /** Reports that a task runs although no event showed its return. Set by the task probe: see `TaskSink.watch`. */
  cameBack(pid: number, cpu: number, nowNs: number): void;
  /** Returns the name of the waking interrupt, softirq or timer. Set by the task probe: see `TaskSink.names`. */
  nameOf(wokenBy: number): string | undefined;
  /** Returns the name of the function at an address. Set by the task probe: see `TaskSink.works`. */
  functionOf(low: number, high: number): string | undefined;
}

export function makeTaskKinds(kinds: SpansConfig['kinds'], offer: Offer, deps: SpanDeps): IntervalSinks {
  const { syscalls, sched, block, metrics } = kinds;
  if ([syscalls, sched, block, metrics].every((kind) => kind === undefined)) return {};
  const journals = {
    tasks: new TaskJournal(deps.cpuCount, syscalls !== undefined),
    requests: new RequestJournal(),
    interrupts: new InterruptJournal(),
    operations: new OperationJournal(),
  };
  const links: Links = {
    since: () => 0,
    cameBack: () => {},
    nameOf: () => undefined,
    functionOf: () => undefined,
  };
  const hasTasks = syscalls !== undefined || sched !== undefined;
  const hasRequests = syscalls !== undefined || block !== undefined;
  return {
    syscalls: syscalls && syscallSink(syscalls, offer, deps, { journals, links }),
    interrupts: syscalls && interruptSink(journals.interrupts),
    tasks: hasTasks ? taskSink(kinds, offer, deps, { journals, links }) : undefined,
    block: hasRequests ? blockSink(kinds, offer, deps, journals) : undefined,
    operations: syscalls || metrics ? operationSink(kinds, offer, deps, journals) : undefined,
  };
}

interface Shared {
  journals: Omit<Journals, 'nameOf' | 'workOf'>;
  links: Links;
}

function syscallSink(
  options: KindOptions,
  offer: Offer,
  deps: SpanDeps,
  { journals, links }: Shared,
): SyscallSink {
  const nameOf = (wokenBy: number) => links.nameOf(wokenBy);
  const workOf = (pid: number, atNs: number) => {
    const work = journals.tasks.works.at(pid, atNs);
    return work && links.functionOf(work.low, work.high);
  };
  const onSlow = makeSyscallTraces(options, offer, deps, { ...journals, nameOf, workOf });
  return {
    thresholdNs: options.thresholdNs,
    wants: options.include === undefined ? (name) => !waitsByNature(name) : deps.matcher(options.include),
    watch: (since) => {
      links.since = since;
    },
    ended: (name, pid, cpu, startNs, endNs, ret, lostUntilNs = 0) => {
      links.cameBack(pid, cpu, endNs);
      onSlow({ name, pid, cpu, startNs, endNs, ret, lostUntilNs });
    },
  };
}

function interruptSink(interrupts: InterruptJournal): InterruptSink {
  return {
    thresholdNs: LONG_INTERRUPT_NS,
    ended: (kind, name, cpu, startNs, endNs) => interrupts.add(kind, name, cpu, startNs, endNs),
  };
}

function operationSink(
  { syscalls, metrics }: SpansConfig['kinds'],
  offer: Offer,
  deps: SpanDeps,
  { tasks, operations }: Shared['journals'],
): OperationSink {
  const onOperation =
    metrics && makeOperationTraces(metrics, offer, deps, (pid, cpu) => tasks.commOf(pid, cpu));
  return {
    thresholdNs: Math.min(syscalls ? LONG_OPERATION_NS : NEVER, metrics?.thresholdNs ?? NEVER),
    ended: (operation) => {
      if (syscalls !== undefined) operations.add(operation);
      onOperation?.(operation);
    },
  };
}

function taskSink(
  { syscalls, sched }: SpansConfig['kinds'],
  offer: Offer,
  deps: SpanDeps,
  { journals: { tasks }, links }: Shared,
): TaskSink {
  const waitThresholdNs = sched?.thresholdNs ?? NEVER;
  const follows = syscalls !== undefined;
  const onWait = makeWaitTraces(offer, deps, tasks);
  return {
    waitThresholdNs,
    culpritNs: CULPRIT_NS,
    follows,
    names: (nameOf) => {
      links.nameOf = nameOf;
    },
    inCall: (pid) => links.since(pid),
    watch: (cameBack) => {
      links.cameBack = cameBack;
    },
    ran: (cpu, pid, startNs, endNs, words, commAt) =>
      tasks.history.ran(cpu, pid, startNs, endNs, words, commAt),
    works: (functionOf) => {
      links.functionOf = functionOf;
    },
    worked: (pid, atNs, low, high) => tasks.works.add(pid, atNs, low, high),
    lost: (cpu, fromNs, untilNs) => {
      tasks.losses.add(cpu, fromNs, untilNs);
      tasks.works.lost();
    },
    moved: (pid, cpu, atNs) => tasks.moves.add(pid, cpu, atNs),
    switchedIn: (task, words, commAt) => {
      if (follows) tasks.all.add(task, words, commAt);
      if (task.isWatched) tasks.add(task, words, commAt);
      if (task.isSeen && task.runnableNs !== 0 && task.inNs - task.runnableNs >= waitThresholdNs)
        onWait(task, words, commAt);
    },
  };
}

function blockSink(
  { syscalls, block }: SpansConfig['kinds'],
  offer: Offer,
  deps: SpanDeps,
  { tasks, requests }: Shared['journals'],
): BlockSink {
  const onRequest = makeRequestTraces(block?.thresholdNs ?? NEVER, offer, deps, (pid, cpu) =>
    tasks.commOf(pid, cpu),
  );
  return {
    ended: (request) => {
      if (syscalls !== undefined) requests.add(request);
      if (block !== undefined) onRequest(request);
    },
  };
}
