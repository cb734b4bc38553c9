/**
 * Opens the history of metrics for `run` and `replay --serve`. For a live agent, samples its metrics every
 * second. For a recording, reads the history from the recording.
 */
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

/** Returns undefined if the config turns the history off, or if the agent has no history of the recording. */
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
      // Skip the sample if the capture does not answer: `scrape` then returns only the main thread's snapshot.
      return snapshots.length < 2 ? undefined : [...snapshots, ownCost()];
    },
    isReady: () => agent.ready().ready,
  });
  return { served: { data: history, onColumn: history.onColumn }, stop };
}

/**
 * Returns a function that returns a snapshot with the CPU time of this process. `scrape` does not return this
 * metric.
 */
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
