/** Pushing over OTLP for `run` and `replay --serve`: loads what is needed for it, only where it is configured. */
import { hostname, version as kernelVersion, release } from 'node:os';
import { makeOtlpMetrics } from '../agent/otlp-metrics.ts';
import type { TracesEnded } from '../agent/traces.ts';
import type { AgentConfig } from '../config/schema.ts';
import { machineId } from '../host/machine-id.ts';
import type { Log } from '../model/log.ts';
import type { MetricSnapshot } from '../model/metric.ts';

/** How long the last push of each signal may take; Kubernetes gives a pod 30 s to end. */
const LAST_PUSH_MS = 5000;

/** `push` and what is told of it. */
export type Otlp = NonNullable<Awaited<ReturnType<typeof openOtlp>>>;

/** Undefined where nothing is pushed. Throws a `UsageError` for what cannot be. */
export async function openOtlp(config: AgentConfig, { log, version }: { log: Log; version: string }) {
  const { otlp, instance } = config;
  if (otlp === undefined) return undefined;
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
  const metrics = otlp.metrics === undefined ? undefined : await openMetrics(otlp.metrics, { resource, log });
  const traces = otlp.traces === undefined ? undefined : await openTraces(otlp.traces, { resource, log });
  const told = [metrics, traces].flatMap((signal) => (signal === undefined ? [] : [signal.counts]));
  return {
    metrics,
    traces,
    snapshots: (): MetricSnapshot[] => told.map((counts) => counts.snapshot()),
  };
}

type Config = NonNullable<AgentConfig['otlp']>;
type Common = Pick<Parameters<typeof import('../export/otlp-push.ts').openPush>[0], 'resource' | 'log'>;

async function openMetrics(config: NonNullable<Config['metrics']>, common: Common) {
  const { openPush } = await import('../export/otlp-push.ts');
  const counts = makeOtlpMetrics('metrics');
  const push = openPush({ config, counts, ...common });
  return { counts, start: push.start, stop: () => push.stop(LAST_PUSH_MS) };
}

async function openTraces(config: NonNullable<Config['traces']>, common: Common) {
  const { openTracePush } = await import('../export/otlp-traces.ts');
  const counts = makeOtlpMetrics('traces');
  let end: TracesEnded = () => {};
  const push = openTracePush({
    config,
    counts,
    ...common,
    ended: (traces, outcome) => end(traces, outcome),
  });
  return {
    counts,
    /** As `makeTraces` wants its backend. */
    backend: (ended: TracesEnded) => {
      end = ended;
      return push;
    },
    stop: () => push.stop(LAST_PUSH_MS),
  };
}
