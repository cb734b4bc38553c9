/** Metrics about the agent's OTLP exports. */
import type { MetricStore } from '../../metrics/store.ts';

export interface OtlpMetrics {
  count(outcome: 'exported' | 'failed'): void;
  reject(count: number): void;
}

/** Export counters for one signal. Without a signal, counts nothing. */
export function makeOtlpMetrics(store: MetricStore, signal?: 'metrics' | 'traces'): OtlpMetrics {
  const pushes = store.counter({
    name: 'ftrace_exporter_otlp_exports_total',
    help: 'Export requests to the OTLP backend, by outcome after all attempts.',
    labels: ['signal', 'outcome'],
  });
  const rejected = store.counter({
    name: 'ftrace_exporter_otlp_rejected_total',
    help: 'Data points or spans that the OTLP backend rejected in requests that it accepted.',
    labels: ['signal'],
  });
  const slots =
    signal === undefined
      ? undefined
      : {
          exported: pushes.slot([signal, 'exported']),
          failed: pushes.slot([signal, 'failed']),
          rejected: rejected.slot([signal]),
        };
  return {
    count: (outcome) => slots && pushes.add(slots[outcome], 1),
    reject: (count) => slots && rejected.add(slots.rejected, count),
  };
}
