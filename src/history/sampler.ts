/** Takes a snapshot shortly after each full second of the wall clock, and adds the snapshot to the history. */
import type { MetricSnapshot } from '../model/metric.ts';
import { FINE_STEP_MS, type History } from './history.ts';

export interface SampledAgent {
  /** Snapshots of all stores. Undefined if the capture does not answer. */
  sample(): Promise<readonly MetricSnapshot[] | undefined>;
  isReady(): boolean;
}

/** Starts the sampler. Returns a function that stops it. */
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
    // Schedule the next step only after the answer, so that two samples never overlap.
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
