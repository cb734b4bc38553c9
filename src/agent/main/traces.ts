/**
 * The main thread's side of traces. Stores the traces from the capture thread, sends them to the backend if there is
 * one, lets exemplars point at those that can be looked up, and counts outcomes.
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
  traceStore: TraceStore;
  exemplars: Exemplars;
  /** Counts of traces and spans, by outcome. */
  snapshot(): MetricSnapshot;
}

/** `openBackend` gets a callback for the outcome of every trace. */
export function makeTraces(
  config: SpansConfig,
  openBackend?: (ended: TracesEnded) => { add(traces: readonly TraceRecord[]): void },
): Traces {
  // Don't export `ftrace_exporter_series` here: the capture store already does, under the same name.
  const store = new MetricStore({ countsSeries: false });
  const outcomes = openBackend === undefined ? (['kept'] as const) : (['exported', 'failed'] as const);
  const counts = declareSpanCounts(store, config, outcomes);
  const traceStore = makeTraceStore(config);
  // Without a backend, only stored traces can be looked up.
  const exemplars = createExemplars(openBackend === undefined ? { roots: () => traceStore.roots() } : {});
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
      traceStore.add(traces);
      if (backend !== undefined) {
        backend.add(traces);
        return;
      }
      count(traces, 'kept');
      exemplars.add(traces);
    },
    traceStore,
    exemplars,
    snapshot: () => store.snapshot(),
  };
}
