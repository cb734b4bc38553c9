/** Stores and counts traces in the main thread, and makes exemplars of traces that users can look up. */
import { createExemplars, type Exemplars } from '../../export/exemplars.ts';
import type { MetricStore } from '../../metrics/store.ts';
import type { SpansConfig, TraceRecord } from '../../model/span.ts';
import { declareSpanCounts } from '../slow/span-metrics.ts';
import { makeTraceStore, type TraceStore } from './trace-store.ts';

export interface Traces {
  /** Without a backend, also counts the traces as `kept` and makes exemplars. */
  take(traces: readonly TraceRecord[]): void;
  /** Counts traces whose export succeeded or failed, and makes exemplars of the exported traces. */
  ended(traces: readonly TraceRecord[], outcome: 'exported' | 'failed'): void;
  traceStore: TraceStore;
  exemplars: Exemplars;
}

export function makeTraces(store: MetricStore, config: SpansConfig, hasBackend: boolean): Traces {
  const outcomes = hasBackend ? (['exported', 'failed'] as const) : (['kept'] as const);
  const counts = declareSpanCounts(store, config, outcomes);
  const traceStore = makeTraceStore(config);
  // Without a backend, users can look up only stored traces.
  const exemplars = createExemplars(hasBackend ? {} : { roots: () => traceStore.roots() });
  const end = (traces: readonly TraceRecord[], outcome: 'kept' | 'exported' | 'failed'): void => {
    for (const { kind, spans } of traces) {
      counts.trace(kind, outcome);
      counts.span(kind, outcome, spans.length);
    }
    if (outcome !== 'failed') exemplars.add(traces);
  };
  return {
    take: (traces) => {
      traceStore.add(traces);
      if (!hasBackend) end(traces, 'kept');
    },
    ended: end,
    traceStore,
    exemplars,
  };
}
