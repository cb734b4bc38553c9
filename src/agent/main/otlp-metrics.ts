/** What the agent tells of its pushes over OTLP; nothing where it makes none. */
import { MetricStore } from '../../metrics/store.ts';
import type { MetricSnapshot } from '../../model/metric.ts';

export interface OtlpMetrics {
  count(outcome: 'exported' | 'failed'): void;
  reject(count: number): void;
  snapshot(): MetricSnapshot;
}

/** Of pushes of a signal, as in `metrics`; undefined: none of which anything is told. */
export function makeOtlpMetrics(signal?: 'metrics' | 'traces'): OtlpMetrics {
  const store = new MetricStore({ tellSeries: false });
  const pushes = store.counter({
    name: 'ftrace_exporter_otlp_exports_total',
    help: 'Requests to the OTLP backend, by what came of them after all attempts.',
    labels: ['signal', 'outcome'],
  });
  const rejected = store.counter({
    name: 'ftrace_exporter_otlp_rejected_total',
    help: 'Data points or spans that the OTLP backend did not take of requests that it took.',
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
    snapshot: () => store.snapshot(),
  };
}
