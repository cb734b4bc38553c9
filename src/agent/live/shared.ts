/** What all buffers of a live capture share. */
import type { AgentConfig } from '../../config/schema.ts';
import type { PageError } from '../../decode/page.ts';
import type { Log } from '../../model/log.ts';
import type { KernelFeatures } from '../../tracefs/features.ts';
import type { PlanInput } from '../plan/plan.ts';
import { type BufferSizes, bufferSizes, leastSizes } from '../plan/sizes.ts';
import type { OwnThreads } from './own-threads.ts';

export interface Shared extends Pick<PlanInput, 'host' | 'onlineCpus' | 'store' | 'self'> {
  config: AgentConfig;
  root: string;
  features: KernelFeatures;
  own: OwnThreads;
  log: Log;
  onError(cpu: number, error: PageError, cause?: unknown): void;
}

/** If `rate` is undefined, the agent never reads the buffer, and the sizes are minimal. */
export function shareOfMemory(shared: Shared, share: number, rate: 'low' | 'high' | undefined): BufferSizes {
  const { config, onlineCpus, features } = shared;
  const kernel = { cpus: onlineCpus.length, realtime: features.realtime };
  if (rate === undefined) return leastSizes(kernel);
  return bufferSizes({ ...config.buffer, totalBytes: config.buffer.totalBytes * share }, kernel, rate);
}
