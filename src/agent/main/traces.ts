/**
 * The main thread's side of traces: those that the capture thread has made enter; they are kept, handed to the backend
 * where there is one, pointed at by exemplars once they can be looked up, and counted.
 */
import { createExemplars, type Exemplars } from '../../export/exemplars.ts';
import { MetricStore } from '../../metrics/store.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { SpansConfig, TraceRecord } from '../../model/span.ts';
import { declareSpanCounts } from '../slow/span-metrics.ts';
import { makeTraceStore, type TraceStore } from './trace-store.ts';

export type TracesEnded = (traces: readonly TraceRecord[], outcome: 'exported' | 'failed') => void;

export interface Traces {
  take(traces: readonly TraceRecord[]): void;
  kept: TraceStore;
  exemplars: Exemplars;
  /** What became of them. */
  snapshot(): MetricSnapshot;
}

/** `openBackend` is given whom to tell of every trace what became of it. */
export function makeTraces(
  config: SpansConfig,
  openBackend?: (ended: TracesEnded) => { add(traces: readonly TraceRecord[]): void },
): Traces {
  // Its few series are told of by nobody: the capture's store tells of its own under the same names.
  const store = new MetricStore({ tellSeries: false });
  const outcomes = openBackend === undefined ? (['kept'] as const) : (['exported', 'failed'] as const);
  const counts = declareSpanCounts(store, config, outcomes);
  const kept = makeTraceStore(config);
  // What is kept is all that there is to look up where nobody else has them.
  const exemplars = createExemplars(openBackend === undefined ? { roots: () => kept.roots() } : {});
  const count = (traces: readonly TraceRecord[], outcome: 'kept' | 'exported' | 'failed'): void => {
    for (const { kind, spans } of traces) {
      counts.trace(kind, outcome);
      counts.span(kind, outcome, spans.length);
    }
  };
  const backend = openBackend?.((traces, outcome) => {
    count(traces, outcome);
    if (outcome === 'exported') exemplars.add(traces);
  });
  return {
    take: (traces) => {
      kept.add(traces);
      if (backend !== undefined) {
        backend.add(traces);
        return;
      }
      count(traces, 'kept');
      exemplars.add(traces);
    },
    kept,
    exemplars,
    snapshot: () => store.snapshot(),
  };
}
