/** Metrics of the main thread about the agent itself. */
import type { MetricStore } from '../../metrics/store.ts';
import type { PhaseCpu } from '../contract/pulse.ts';
import { declareCpuSeconds } from './cpu-metrics.ts';

export interface MainMetrics {
  countRestart(): void;
  /** Exports probe_up as 0 for exactly these probes. The capture thread exports the others. */
  probesAreDown(names: readonly string[]): void;
  readyIs(ready: boolean): void;
  /** Does nothing if `ageMs` is undefined. */
  drainedBefore(ageMs: number | undefined): void;
  /** `capture`: CPU times of the capture thread. */
  cpuIs(capture: PhaseCpu): void;
}

export function makeMainMetrics(store: MetricStore, what: { version: string; replay: boolean }): MainMetrics {
  const build = store.gauge({
    name: 'ftrace_exporter_build_info',
    help: 'Always 1. The labels contain the versions of the agent and of Node.js.',
    labels: ['version', 'node_version'],
  });
  build.set(build.slot([what.version, process.version]), 1);
  const source = store.gauge({
    name: 'ftrace_exporter_source_info',
    help: 'Always 1. The label source is "live" if the agent traces the running kernel, "replay" if it serves a recording.',
    labels: ['source'],
  });
  source.set(source.slot([what.replay ? 'replay' : 'live']), 1);
  const up = store.gauge({
    name: 'ftrace_exporter_probe_up',
    help: '1 if an enabled probe receives the events that it needs, 0 if it does not or if the agent has suspended it.',
    labels: ['probe'],
  });
  const restarts = store.counter({
    name: 'ftrace_exporter_capture_restarts_total',
    help: 'Times the agent restarted its capture thread after a failure.',
  });
  const ready = store.gauge({
    name: 'ftrace_exporter_ready',
    help: '1 if the agent receives all events that it requested and /readyz answers 200, otherwise 0.',
  });
  const readySlot = ready.slot([]);
  // A replay reads its recording only once, so it exports neither CPU time nor the time of the last drain.
  const cpuIs = what.replay ? () => {} : declareCpuSeconds(store);
  const drained = what.replay
    ? undefined
    : store.gauge({
        name: 'ftrace_exporter_last_drain_timestamp_seconds',
        help: 'Unix time at which the agent last read the kernel buffers.',
        unit: 'seconds',
      });
  const restartSlot = restarts.slot([]);
  const downSlots = new Set<number>();
  return {
    cpuIs,
    countRestart: () => restarts.add(restartSlot, 1),
    probesAreDown: (names) => {
      for (const slot of downSlots) up.set(slot, Number.NaN);
      for (const name of names) {
        const slot = up.slot([name]);
        downSlots.add(slot);
        up.set(slot, 0);
      }
    },
    readyIs: (isReady) => ready.set(readySlot, isReady ? 1 : 0),
    drainedBefore: (ageMs) => {
      if (ageMs !== undefined) drained?.set(drained.slot([]), (Date.now() - ageMs) / 1000);
    },
  };
}
