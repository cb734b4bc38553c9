/** What the main thread tells of the agent: what it is, and what the capture thread cannot say when it is down. */
import { MetricStore } from '../../metrics/store.ts';
import type { MetricSnapshot } from '../../model/metric.ts';

export interface MainMetrics {
  countRestart(): void;
  /** Says of these probes that they are down; of all others nothing, for then the capture thread does. */
  probesAreDown(names: readonly string[]): void;
  /** Whether all events come that were asked for. */
  readyIs(ready: boolean): void;
  /** Time since the buffers were last read; undefined where that cannot be told. */
  drainedBefore(ageMs: number | undefined): void;
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
  const ready = store.gauge({
    name: 'ftrace_exporter_ready',
    help: 'Whether all events come that the agent asked for: 1 when /readyz answers 200, else 0.',
  });
  const readySlot = ready.slot([]);
  // A replay drains nothing.
  const drained = what.replay
    ? undefined
    : store.gauge({
        name: 'ftrace_exporter_last_drain_timestamp_seconds',
        help: 'When the buffers were last read, as Unix time.',
        unit: 'seconds',
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
    readyIs: (isReady) => ready.set(readySlot, isReady ? 1 : 0),
    drainedBefore: (ageMs) => {
      if (ageMs !== undefined) drained?.set(drained.slot([]), (Date.now() - ageMs) / 1000);
    },
    snapshot: () => store.snapshot(),
  };
}
