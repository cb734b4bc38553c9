/** Opens OTLP exports for `run` and `replay --serve`. Loads the OpenTelemetry SDK only if OTLP is configured. */
import { hostname } from 'node:os';
import { makeOtlpMetrics } from '../agent/main/otlp-metrics.ts';
import type { Traces } from '../agent/main/traces.ts';
import type { AgentConfig } from '../config/schema.ts';
import { machineId } from '../host/machine-id.ts';
import type { MetricStore } from '../metrics/store.ts';
import type { Log } from '../model/log.ts';

/** Resolves to undefined if OTLP is not configured. Rejects with a `UsageError` for an unreadable certificate. */
export async function openOtlp(
  { otlp, instance }: AgentConfig,
  what: { log: Log; version: string; store: MetricStore; ended: Traces['ended'] },
) {
  if (otlp === undefined) return undefined;
  const { openSdk } = await import('../export/otlp/sdk.ts');
  const { version, store, ended, log } = what;
  const resource = { version, instance, hostName: hostname(), hostId: machineId(), env: process.env };
  const counts = (signal: 'metrics' | 'traces') => makeOtlpMetrics(store, signal);
  return openSdk({ config: otlp, resource, counts, ended, log });
}
