/** Opens the history of metrics: sampled every second for `run`, from the recording for `replay --serve`. */
import type { Agent } from '../agent/main/supervise.ts';
import type { AgentConfig } from '../config/schema.ts';
import { makeHistory } from '../history/history.ts';
import { historyOfRecording } from '../history/recorded.ts';
import { startSampler } from '../history/sampler.ts';
import type { ServedHistory } from '../http/pages/deps.ts';
import { MetricStore } from '../metrics/store.ts';
import type { MetricSnapshot } from '../model/metric.ts';

export interface OpenHistory {
  served: ServedHistory;
  stop(): void;
}

/** Returns undefined if the history is off in the config, or if the agent has computed no history of the recording. */
export async function openHistory(
  config: AgentConfig,
  agent: Agent,
  isReplay: boolean,
): Promise<OpenHistory | undefined> {
  if (config.history === undefined) return undefined;
  if (isReplay) {
    const recorded = await agent.history();
    return recorded && { served: { data: historyOfRecording(recorded) }, stop: () => {} };
  }
  const history = makeHistory(config.history);
  const ownCost = makeOwnCost();
  const stop = startSampler(history, {
    sample: async () => {
      const snapshots = await agent.scrape();
      // If the capture thread does not answer, `scrape` returns only the main thread's snapshot. Skip this sample.
      return snapshots.length < 2 ? undefined : [...snapshots, ownCost()];
    },
    isReady: () => agent.ready().ready,
  });
  return { served: { data: history, onColumn: history.onColumn }, stop };
}

/** Makes snapshots with the CPU time of this process. The snapshots of `scrape` lack this metric. */
function makeOwnCost(): () => MetricSnapshot {
  const store = new MetricStore({ countsSeries: false });
  const cpu = store.counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of all threads of the agent.',
    unit: 'seconds',
    divisor: 1e6,
  });
  const slot = cpu.slot([]);
  return () => {
    const { user, system } = process.cpuUsage();
    cpu.set(slot, user + system);
    return store.snapshot();
  };
}
