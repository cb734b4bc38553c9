/** Takes a snapshot every second, shortly after the full second, and adds it to the history. */
import type { MetricSnapshot } from '../model/metric.ts';
import { FINE_STEP_MS, type History } from './history.ts';

export interface SampledAgent {
  /** Snapshots of all stores. Undefined if the capture does not answer. */
  sample(): Promise<readonly MetricSnapshot[] | undefined>;
  isReady(): boolean;
}

/** Returns a function that stops the sampler. */
export function startSampler(
  history: Pick<History, 'take' | 'miss'>,
  { sample, isReady }: SampledAgent,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const schedule = () => {
    if (!stopped) timer = setTimeout(step, FINE_STEP_MS - (Date.now() % FINE_STEP_MS)).unref();
  };
  const step = async () => {
    // Wait for a slow answer before scheduling the next step, so that two samples never overlap.
    const snapshots = await sample().catch(() => undefined);
    if (stopped) return;
    if (snapshots === undefined) history.miss(Date.now());
    else history.take(snapshots, Date.now(), isReady());
    schedule();
  };
  schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
