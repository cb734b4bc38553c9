/** Makes a sink (object with callbacks) for each probe whose operations can become traces, and returns the traces. */
import type { IntervalSinks } from '../model/intervals.ts';
import {
  type KindOptions,
  SPAN_KINDS,
  type SpanKind,
  type SpansConfig,
  type TraceRecord,
} from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import { makeBudget } from './budget.ts';
import type { SpanDeps } from './deps.ts';
import { countSpans, type Offer } from './draft.ts';
import { makeFunctionTrees } from './function-trees.ts';
import { makeLatencies } from './latency.ts';
import { makeOsnoise } from './osnoise.ts';
import { makeRecorder } from './records.ts';
import { makeTaskFilter } from './task-filter.ts';
import { makeTaskKinds } from './task-kinds.ts';
import { makeTimerlat } from './timerlat.ts';

export interface Spans {
  sinks: IntervalSinks;
  /** While paused, operations get no trace and count as `suspended`. */
  pause(isPaused: boolean): void;
  /** Ends the current interval of the budget and returns its traces. `nowMs` is monotonic. */
  take(nowMs: number): TraceRecord[];
  /** Called when the agent stops. Slow operations after this time on the trace clock count as `over_budget`. */
  endAt(deadlineNs: TimestampNs): void;
}

export function makeSpans(config: SpansConfig, deps: SpanDeps, nowMs: number): Spans {
  const { kinds } = config;
  const on = SPAN_KINDS.filter((kind) => kinds[kind] !== undefined);
  const budget = makeBudget(on, config.maxTracesPerSecond, deps.counts);
  const filters = new Map(on.map((kind) => [kind, makeTaskFilter(kinds[kind] as KindOptions, deps)]));
  let deadlineNs = Number.POSITIVE_INFINITY;
  const isLate = () => deadlineNs !== Number.POSITIVE_INFINITY && deps.now() > deadlineNs;
  const giveUp = (kind: SpanKind, spans?: number) => {
    deps.counts.trace(kind, 'over_budget');
    deps.counts.span(kind, 'over_budget', spans);
  };
  let isPaused = false;
  const offer: Offer = (kind, weightNs, make, subject) => {
    if (subject !== undefined && filters.get(kind)?.(subject) === false) {
      deps.counts.filtered(kind);
      return;
    }
    if (isLate()) {
      giveUp(kind);
      return;
    }
    if (isPaused) {
      deps.counts.trace(kind, 'suspended');
      return;
    }
    budget.offer(kind, weightNs, () => {
      const draft = make();
      if (draft.pid !== 0) draft.facts = deps.taskFacts(draft.pid, draft.root.startNs);
      return draft;
    });
  };
  const recordsOf = makeRecorder(deps);
  let takenMs = nowMs;
  return {
    sinks: { ...makeTaskKinds(kinds, offer, deps), ...makeTracerKinds(kinds, offer, deps) },
    pause: (paused) => {
      isPaused = paused;
    },
    take: (now) => {
      const chosen = budget.take(Math.max(0, now - takenMs) / 1000);
      takenMs = now;
      const records = recordsOf(chosen, isLate);
      for (const [i, { kind, draft }] of chosen.entries()) {
        if (i >= records.length) giveUp(kind, countSpans(draft.root));
        else if (draft.pruned > 0) deps.counts.span(kind, 'pruned', draft.pruned);
      }
      return records;
    },
    endAt: (ns) => {
      deadlineNs = ns;
    },
  };
}

/** Makes the sinks of the kinds whose operations a kernel tracer records. */
function makeTracerKinds(kinds: SpansConfig['kinds'], offer: Offer, deps: SpanDeps): IntervalSinks {
  return {
    ...(kinds.function_graph && makeFunctionTrees(kinds.function_graph, offer, deps)),
    ...(kinds.timerlat && makeTimerlat(kinds.timerlat, offer, deps)),
    ...(kinds.osnoise && makeOsnoise(kinds.osnoise, offer, deps)),
    ...makeLatencies(kinds, offer, deps),
  };
}
