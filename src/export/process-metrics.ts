/**
 * Converts prom-client's default metrics (`process_*`, `nodejs_*`) to families. prom-client 15 must not render
 * OpenMetrics, because it would permanently remove `_total` from the names of its counters. The metrics of heap,
 * garbage collection and event loop cover only the calling thread.
 */
import { collectDefaultMetrics, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import type { ForeignSample, SampleFamily } from './sample-family.ts';

/**
 * promtool rejects gauges that end in `_total`. Sampling the event loop delay wakes the process 100 times per second.
 */
const OMITTED = /^nodejs_(active_\w+_total|eventloop_lag_\w+_seconds)$/;
/** Interval of the sampling of the event loop delay. Very long, because prom-client cannot switch the sampling off. */
const SAMPLING_INTERVAL_MS = 3_600_000;

/** Call this only once per process, because prom-client never removes its observers. */
export function createProcessMetrics(): () => Promise<SampleFamily[]> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: SAMPLING_INTERVAL_MS });
  return async () => {
    const families: SampleFamily[] = [];
    for (const metric of await registry.getMetricsAsJSON()) {
      const family = OMITTED.test(metric.name) ? undefined : convert(metric);
      if (family !== undefined) families.push(family);
    }
    return families;
  };
}

type PromClientSample = MetricValue<string> & { metricName?: string };

function convert(metric: MetricObjectWithValues<PromClientSample>): SampleFamily | undefined {
  const kind = String(metric.type);
  if (kind !== 'counter' && kind !== 'gauge' && kind !== 'histogram') return undefined;
  const samples: ForeignSample[] = [];
  for (const sample of metric.values) {
    if (Number.isNaN(sample.value)) continue;
    const { le, ...labels } = Object.fromEntries(
      Object.entries(sample.labels).map(([name, value]) => [name, String(value)]),
    );
    const suffix = (sample.metricName ?? metric.name).slice(metric.name.length) as ForeignSample['suffix'];
    const bound = le === undefined ? undefined : Number(le.replace('+Inf', 'Infinity'));
    samples.push({ suffix, labels, value: sample.value, le: bound });
  }
  return { name: metric.name, help: metric.help, kind, samples };
}
