/**
 * The room's front: config in; sinks for the probes' intervals, and from time to time finished traces, out. Sinks exist
 * for the kinds that are on, so that probes do nothing for the others.
 */
import type { IntervalSinks } from '../model/intervals.ts';
import { SPAN_KINDS, type SpansConfig, type TraceRecord } from '../model/span.ts';
import { makeBudget } from './budget.ts';
import type { SpanDeps } from './deps.ts';
import { makeRecorder } from './records.ts';

export interface Spans {
  sinks: IntervalSinks;
  /** Events were lost until then: what lies open across that is void. */
  onLoss(untilNs: number): void;
  /** Ends an interval of the budget and gives its traces. `nowMs`: a monotonic time. */
  take(nowMs: number): TraceRecord[];
}

export function makeSpans(config: SpansConfig, deps: SpanDeps, nowMs: number): Spans {
  const { kinds } = config;
  const on = SPAN_KINDS.filter((kind) => kinds[kind] !== undefined);
  const budget = makeBudget(on, config.maxTracesPerSecond, deps.counts);
  const recorded = makeRecorder(deps);
  let takenMs = nowMs;
  return {
    sinks: {},
    onLoss: () => {},
    take: (now) => {
      const taken = budget.take(Math.max(0, now - takenMs) / 1000);
      takenMs = now;
      for (const { kind, draft } of taken)
        if (draft.pruned > 0) deps.counts.span(kind, 'pruned', draft.pruned);
      return taken.map(({ kind, draft }) => recorded(kind, draft));
    },
  };
}
