/** What the main thread tells of the agent: what it is, and what the capture thread cannot say when it is down. */
import { MetricStore } from '../metrics/store.ts';
import type { MetricSnapshot } from '../model/metric.ts';

export interface MainMetrics {
  countRestart(): void;
  /** Says of these probes that they are down; of all others nothing, for then the capture thread does. */
  probesAreDown(names: readonly string[]): void;
  snapshot(): MetricSnapshot;
}

export function makeMainMetrics(what: { version: string; replay: boolean }): MainMetrics {
  // Its few series are told of by nobody: the capture's store tells of its own under the same names.
  const store = new MetricStore({ tellSeries: false });
  const build = store.gauge({
    name: 'ftrace_exporter_build_info',
    help: 'Always 1; the labels tell the version.',
    labels: ['version', 'node_version'],
  });
  build.set(build.slot([what.version, process.version]), 1);
  const source = store.gauge({
    name: 'ftrace_exporter_source_info',
    help: 'Always 1; source is "live" for this machine\'s kernel, "replay" for a capture.',
    labels: ['source'],
  });
  source.set(source.slot([what.replay ? 'replay' : 'live']), 1);
  const up = store.gauge({
    name: 'ftrace_exporter_probe_up',
    help: 'Whether a probe that is switched on gets the events it needs.',
    labels: ['probe'],
  });
  const restarts = store.counter({
    name: 'ftrace_exporter_capture_restarts_total',
    help: 'Times the capture thread was started again after it had failed.',
  });
  const restartSlot = restarts.slot([]);
  const told = new Set<number>();
  return {
    countRestart: () => restarts.add(restartSlot, 1),
    probesAreDown: (names) => {
      for (const slot of told) up.set(slot, Number.NaN);
      for (const name of names) {
        const slot = up.slot([name]);
        told.add(slot);
        up.set(slot, 0);
      }
    },
    snapshot: () => store.snapshot(),
  };
}
