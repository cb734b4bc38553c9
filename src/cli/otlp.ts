/** Pushing over OTLP for `run` and `replay --serve`: loads what is needed for it, only where it is configured. */
import { hostname, version as kernelVersion, release } from 'node:os';
import { makeOtlpMetrics } from '../agent/otlp-metrics.ts';
import type { AgentConfig } from '../config/schema.ts';
import { machineId } from '../host/machine-id.ts';
import type { Log } from '../model/log.ts';

/** How long the last push may take; Kubernetes gives a pod 30 s to end. */
const LAST_PUSH_MS = 5000;

/** `push` and what is told of it. */
export type Otlp = NonNullable<Awaited<ReturnType<typeof openOtlp>>>;

/** Undefined where nothing is pushed. Throws a `UsageError` for what cannot be. */
export async function openOtlp(config: AgentConfig, { log, version }: { log: Log; version: string }) {
  const { otlp, instance } = config;
  if (otlp === undefined) return undefined;
  const { openPush } = await import('../export/otlp-push.ts');
  const metrics = makeOtlpMetrics('metrics');
  const resource = {
    version,
    instance,
    hostName: hostname(),
    hostId: machineId(),
    kernelRelease: release(),
    kernelVersion: kernelVersion(),
    env: process.env,
    said: otlp.resource,
  };
  const push = openPush({ config: otlp.metrics, resource, counts: metrics, log });
  return { push, metrics, stop: () => push.stop(LAST_PUSH_MS) };
}
