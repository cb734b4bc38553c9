/** Pushing over OTLP for `run` and `replay --serve`. Loads what it needs, only where OTLP is configured. */
import { hostname, version as kernelVersion, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeOtlpMetrics } from '../agent/main/otlp-metrics.ts';
import type { TracesEnded } from '../agent/main/traces.ts';
import type { AgentConfig } from '../config/schema.ts';
import { machineId } from '../host/machine-id.ts';
import type { Log } from '../model/log.ts';
import type { MetricSnapshot } from '../model/metric.ts';

/** How long the last values may take to be collected, and then the last pushes; Kubernetes gives a pod 30 s to end. */
const LAST_COLLECT_MS = 2000;
const LAST_PUSH_MS = 5000;

/** The push, and its own metrics. */
export type Otlp = NonNullable<Awaited<ReturnType<typeof openOtlp>>>;

/** Undefined where nothing is pushed. Throws a `UsageError` for what cannot be. */
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
      said: otlp.resource,
    },
    counts,
    ended: (records, outcome) => onEnded(records, outcome),
    log,
  });
  const pushed = (['metrics', 'traces'] as const).filter((signal) => otlp[signal] !== undefined);
  return {
    start,
    /** As `makeTraces` wants its backend; undefined where traces are not pushed. */
    backend:
      traces === undefined
        ? undefined
        : (ended: TracesEnded) => {
            onEnded = ended;
            return traces;
          },
    /** Before the agent ends: takes its last values. */
    collectLast: () => Promise.race([collectLast(), sleep(LAST_COLLECT_MS, undefined, { ref: false })]),
    /** After the agent has ended. */
    stop: () => stop(LAST_PUSH_MS),
    snapshots: (): MetricSnapshot[] => pushed.map((signal) => counts[signal].snapshot()),
  };
}
