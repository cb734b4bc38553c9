/** Exports over OTLP for `run` and `replay --serve`. Loads the OpenTelemetry SDK only if OTLP is configured. */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeOtlpMetrics } from '../agent/main/otlp-metrics.ts';
import type { Traces } from '../agent/main/traces.ts';
import type { AgentConfig } from '../config/schema.ts';
import { machineId } from '../host/machine-id.ts';
import type { MetricStore } from '../metrics/store.ts';
import type { Log } from '../model/log.ts';

/** Time limits for collecting the last values and for the last exports; Kubernetes gives a pod 30 s to end. */
const LAST_COLLECT_MS = 2000;
const LAST_PUSH_MS = 5000;

/** Undefined if OTLP is not configured. Throws a `UsageError` if the configured export is not possible. */
export async function openOtlp(
  { otlp, instance }: AgentConfig,
  what: { log: Log; version: string; store: MetricStore; ended: Traces['ended'] },
) {
  if (otlp === undefined) return undefined;
  const { openSdk } = await import('../export/otlp/sdk.ts');
  const { version, store, ended, log } = what;
  const resource = { version, instance, hostName: hostname(), hostId: machineId(), env: process.env };
  const counts = (signal: 'metrics' | 'traces') => makeOtlpMetrics(store, signal);
  const sdk = openSdk({ config: otlp, resource, counts, ended, log });
  return {
    ...sdk,
    /** Called before the agent ends: collects its last values. */
    collectLast: () => Promise.race([sdk.collectLast(), sleep(LAST_COLLECT_MS, undefined, { ref: false })]),
    /** Called after the agent has ended. */
    stop: () => sdk.stop(LAST_PUSH_MS),
  };
}
