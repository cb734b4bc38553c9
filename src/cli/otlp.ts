/** Exports over OTLP for `run` and `replay --serve`. Loads the OpenTelemetry SDK only if OTLP is configured. */
import { hostname, version as kernelVersion, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeOtlpMetrics } from '../agent/main/otlp-metrics.ts';
import type { Traces } from '../agent/main/traces.ts';
import type { AgentConfig } from '../config/schema.ts';
import { machineId } from '../host/machine-id.ts';
import type { MetricStore } from '../metrics/store.ts';
import type { Log } from '../model/log.ts';
import type { TraceRecord } from '../model/span.ts';

/** Time limits for collecting the last values and for the last exports; Kubernetes gives a pod 30 s to end. */
const LAST_COLLECT_MS = 2000;
const LAST_PUSH_MS = 5000;

export type Otlp = NonNullable<Awaited<ReturnType<typeof openOtlp>>>;

/** Undefined if OTLP is not configured. Throws a `UsageError` if the configured export is not possible. */
export async function openOtlp(
  config: AgentConfig,
  what: { log: Log; version: string; store: MetricStore; ended: Traces['ended'] },
) {
  const { otlp, instance } = config;
  const { log, version, store, ended } = what;
  if (otlp === undefined) return undefined;
  const { openSdk } = await import('../export/otlp/sdk.ts');
  const { traces, start, collectLast, stop } = openSdk({
    config: otlp,
    resource: {
      version,
      instance,
      hostName: hostname(),
      hostId: machineId(),
      kernelRelease: release(),
      kernelVersion: kernelVersion(),
      env: process.env,
      userAttributes: otlp.resource,
    },
    counts: (signal) => makeOtlpMetrics(store, signal),
    ended,
    log,
  });
  return {
    start,
    add: (records: readonly TraceRecord[]) => traces?.add(records),
    /** Called before the agent ends: collects its last values. */
    collectLast: () => Promise.race([collectLast(), sleep(LAST_COLLECT_MS, undefined, { ref: false })]),
    /** Called after the agent has ended. */
    stop: () => stop(LAST_PUSH_MS),
  };
}
