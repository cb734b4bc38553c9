import type { MetricStore } from '../../metrics/store.ts';
import type { PushCounts } from '../../model/otlp.ts';

/** Without a signal, declares the metrics, and the returned counters do nothing. */
export function makeOtlpMetrics(store: MetricStore, signal?: 'metrics' | 'traces'): PushCounts {
  const pushes = store.counter({
    name: 'ftrace_exporter_otlp_exports_total',
    help: 'Export requests to the OTLP backend, by signal and outcome. A request that is retried counts once, after its last attempt.',
    labels: ['signal', 'outcome'],
  });
  const rejected = store.counter({
    name: 'ftrace_exporter_otlp_rejected_total',
    help: 'Data points or spans that the OTLP backend rejected in requests that it otherwise accepted.',
    labels: ['signal'],
  });
  if (signal !== undefined) {
    for (const outcome of ['exported', 'failed']) pushes.slot([signal, outcome]);
    rejected.slot([signal]);
  }
  return {
    count: (outcome) => signal && pushes.add(pushes.slot([signal, outcome]), 1),
    reject: (count) => signal && rejected.add(rejected.slot([signal]), count),
  };
}
