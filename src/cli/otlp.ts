/** Exports over OTLP for `run` and `replay --serve`. Loads the OpenTelemetry SDK only if OTLP is configured. */
import { hostname, version as kernelVersion, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeOtlpMetrics } from '../agent/main/otlp-metrics.ts';
import type { TracesEnded } from '../agent/main/traces.ts';
import type { AgentConfig } from '../config/schema.ts';
import { machineId } from '../host/machine-id.ts';
import type { Log } from '../model/log.ts';
import type { MetricSnapshot } from '../model/metric.ts';

/** Time limits for collecting the last values and for the last exports; Kubernetes gives a pod 30 s to end. */
const LAST_COLLECT_MS = 2000;
const LAST_PUSH_MS = 5000;

/** The exporter, and its own metrics. */
export type Otlp = NonNullable<Awaited<ReturnType<typeof openOtlp>>>;

/** Undefined if OTLP is not configured. Throws a `UsageError` if the configured export is not possible. */
export async function openOtlp(config: AgentConfig, { log, version }: { log: Log; version: string }) {
  const { otlp, instance } = config;
  if (otlp === undefined) return undefined;
  const { openSdk } = await import('../export/otlp/sdk.ts');
  const counts = { metrics: makeOtlpMetrics('metrics'), traces: makeOtlpMetrics('traces') };
  let onEnded: TracesEnded = () => {};
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
    counts,
    ended: (records, outcome) => onEnded(records, outcome),
    log,
  });
  const pushed = (['metrics', 'traces'] as const).filter((signal) => otlp[signal] !== undefined);
  return {
    start,
    /** The `openBackend` argument of `makeTraces`; undefined if traces are not exported. */
    backend:
      traces === undefined
        ? undefined
        : (ended: TracesEnded) => {
            onEnded = ended;
            return traces;
          },
    /** Called before the agent ends: collects its last values. */
    collectLast: () => Promise.race([collectLast(), sleep(LAST_COLLECT_MS, undefined, { ref: false })]),
    /** Called after the agent has ended. */
    stop: () => stop(LAST_PUSH_MS),
    snapshots: (): MetricSnapshot[] => pushed.map((signal) => counts[signal].snapshot()),
  };
}
