/**
 * Converts prom-client's default metrics (`process_*`, `nodejs_*`) to families for our writers. prom-client 15 strips
 * `_total` from the counter objects themselves when it renders OpenMetrics, so we never let it render.
 * CPU time, memory and file descriptors describe the whole process; heap, garbage collection and event loop lag only the
 * calling thread.
 */
import { collectDefaultMetrics, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import type { ForeignSample, SampleFamily } from './sample-family.ts';

/**
 * Omitted: gauges whose names end in `_total`, which promtool refuses, and the distribution of the event loop delay, whose
 * sampling wakes the process a hundred times a second (measured: 0.7 % of a CPU, more than the rest of an idle agent).
 * `nodejs_eventloop_lag_seconds`, measured at each scrape, remains.
 */
const OMITTED = /^nodejs_(active_\w+_total|eventloop_lag_\w+_seconds)$/;
/** In milliseconds. Sampling can't be switched off, only made rare. */
const SAMPLING_INTERVAL_MS = 3_600_000;

/** Starts collecting and returns a function that reads the values. Call it once per process: the observers stay. */
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
