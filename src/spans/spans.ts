/**
 * Connects the kinds of traces that are on with the probes: gives each probe a sink for its intervals, and returns
 * finished traces. A probe without a sink does nothing for spans.
 */
import type { IntervalSinks } from '../model/intervals.ts';
import { type KindOptions, SPAN_KINDS, type SpansConfig, type TraceRecord } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import { makeBudget } from './budget.ts';
import type { SpanDeps } from './deps.ts';
import type { Offer } from './draft.ts';
import { makeFunctionTrees } from './function-trees.ts';
import { InterruptJournal, LONG_INTERRUPT_NS } from './interrupt-journal.ts';
import { makeLatencies } from './latency.ts';
import { makeOsnoise } from './osnoise.ts';
import { makeRecorder } from './records.ts';
import { RequestJournal } from './request-journal.ts';
import { makeSyscallTraces } from './syscalls.ts';
import { CULPRIT_NS, TaskJournal } from './task-journal.ts';
import { makeTimerlat } from './timerlat.ts';
import { waitsByNature } from './waiting-syscalls.ts';
import { makeRequestTraces, makeWaitTraces } from './waits.ts';

export interface Spans {
  sinks: IntervalSinks;
  /** Ends an interval of the budget and returns its traces. `nowMs`: a monotonic time. */
  take(nowMs: number): TraceRecord[];
}

export function makeSpans(config: SpansConfig, deps: SpanDeps, nowMs: number): Spans {
  const { kinds } = config;
  const on = SPAN_KINDS.filter((kind) => kinds[kind] !== undefined);
  const budget = makeBudget(on, config.maxTracesPerSecond, deps.counts);
  const offer: Offer = (kind, weightNs, make) =>
    budget.offer(kind, weightNs, () => {
      const draft = make();
      if (draft.pid !== 0) draft.facts = deps.taskFacts(draft.pid, draft.root.startNs);
      return draft;
    });
  const recorded = makeRecorder(deps);
  let takenMs = nowMs;
  return {
    sinks: { ...taskSinks(kinds, offer, deps), ...tracerSinks(kinds, offer, deps) },
    take: (now) => {
      const chosen = budget.take(Math.max(0, now - takenMs) / 1000);
      takenMs = now;
      for (const { kind, draft } of chosen)
        if (draft.pruned > 0) deps.counts.span(kind, 'pruned', draft.pruned);
      return chosen.map(recorded);
    },
  };
}

/** Sinks of the kinds that read what a tracer records. */
function tracerSinks(kinds: SpansConfig['kinds'], offer: Offer, deps: SpanDeps): IntervalSinks {
  return {
    ...(kinds.function_graph && makeFunctionTrees(kinds.function_graph, offer, deps)),
    ...(kinds.timerlat && makeTimerlat(kinds.timerlat, offer, deps)),
    ...(kinds.osnoise && makeOsnoise(kinds.osnoise, offer, deps)),
    ...makeLatencies(kinds, offer, deps),
  };
}

/** Sinks of the kinds about tasks and their requests, which share journals. */
function taskSinks(
  { syscalls, sched, block }: SpansConfig['kinds'],
  offer: Offer,
  deps: SpanDeps,
): IntervalSinks {
  if (syscalls === undefined && sched === undefined && block === undefined) return {};
  const tasks = new TaskJournal(deps.cpuCount);
  const requests = new RequestJournal();
  const interrupts = new InterruptJournal();
  const onWait = makeWaitTraces(offer, deps, tasks.history);
  const waitThresholdNs = sched?.thresholdNs ?? Number.POSITIVE_INFINITY;
  const onRequest = makeRequestTraces(block?.thresholdNs ?? Number.POSITIVE_INFINITY, offer, deps);
  /** Callbacks of several probes that give the start of a task's call; at most one has a call of a task. */
  const watched: ((pid: number) => number)[] = [];
  let cameBack: (pid: number, cpu: number, nowNs: TimestampNs) => void = () => {};
  const onSlowCall = syscalls && makeSyscallTraces(syscalls, offer, deps, { tasks, requests, interrupts });
  const ofSyscalls =
    syscalls === undefined
      ? {}
      : syscallSinks(
          syscalls,
          deps,
          (call) => {
            cameBack(call.pid, call.cpu, call.endNs);
            onSlowCall?.(call);
          },
          {
            watch: (since) => watched.push(since),
            interrupts,
          },
        );
  return {
    ...ofSyscalls,
    ...(syscalls === undefined && sched === undefined
      ? {}
      : {
          tasks: {
            waitThresholdNs,
            culpritNs: CULPRIT_NS,
            inCall: (pid) => {
              for (let i = 0; i < watched.length; i++) {
                const since = watched[i](pid);
                if (since !== 0) return since;
              }
              return 0;
            },
            watch: (of) => {
              cameBack = of;
            },
            ran: (cpu, pid, startNs, endNs, words, commAt) =>
              tasks.history.ran(cpu, pid, startNs, endNs, words, commAt),
            switchedIn: (task, words, commAt) => {
              if (task.outNs !== 0) tasks.add(task, words, commAt);
              if (task.runnableNs !== 0 && task.inNs - task.runnableNs >= waitThresholdNs)
                onWait(task, words, commAt);
            },
          },
        }),
    ...(syscalls === undefined && block === undefined
      ? {}
      : {
          block: {
            ended: (request) => {
              if (syscalls !== undefined) requests.add(request);
              if (block !== undefined) onRequest(request);
            },
          },
        }),
  };
}

function syscallSinks(
  options: KindOptions,
  deps: SpanDeps,
  onSlow: ReturnType<typeof makeSyscallTraces>,
  { watch, interrupts }: { watch(since: (pid: number) => number): void; interrupts: InterruptJournal },
): IntervalSinks {
  return {
    syscalls: {
      thresholdNs: options.thresholdNs,
      wants: options.include === undefined ? (name) => !waitsByNature(name) : deps.matcher(options.include),
      watch,
      ended: (name, pid, cpu, startNs, endNs, ret) => onSlow({ name, pid, cpu, startNs, endNs, ret }),
    },
    interrupts: {
      thresholdNs: LONG_INTERRUPT_NS,
      ended: (kind, name, cpu, startNs, endNs) => interrupts.add(kind, name, cpu, startNs, endNs),
    },
  };
}
