import type { AgentConfig } from '../../config/schema.ts';
import type { PageError } from '../../decode/page.ts';
import type { MetricStore } from '../../metrics/store.ts';
import type { Log } from '../../model/log.ts';
import type { HostFacts } from '../../probes/probe.ts';
import type { KernelFeatures } from '../../tracefs/features.ts';
import type { SelfMetrics } from '../plan/self-metrics.ts';
import type { OwnThreads } from './own-threads.ts';

/** What all buffers of a live capture use. */
export interface Shared {
  config: AgentConfig;
  root: string;
  features: KernelFeatures;
  host: HostFacts;
  onlineCpus: readonly number[];
  store: MetricStore;
  self: SelfMetrics;
  own: OwnThreads;
  log: Log;
  onError(cpu: number, error: PageError, cause?: unknown): void;
}
