/**
 * OpenTelemetry's NodeSDK with the agent's metrics and traces in it. Only this file and what it imports load
 * OpenTelemetry, and only where OTLP is configured.
 */
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import type { Log } from '../../model/log.ts';
import type { OtlpConfig } from '../../model/otlp.ts';
import type { PushCounts } from './outcomes.ts';
import { type MetricPush, openMetricPush, type PushSource } from './push.ts';
import { agentResource, type ResourceFacts } from './resource.ts';
import { openTracePush, type TracePush, type TracePushOptions } from './traces.ts';

const NAME = 'ftrace-exporter';

export interface SdkOptions {
  config: OtlpConfig;
  resource: ResourceFacts;
  counts: Record<'metrics' | 'traces', PushCounts>;
  ended: TracePushOptions['ended'];
  log: Log;
}

export interface Sdk {
  /** Undefined where the signal is not pushed. */
  traces: TracePush | undefined;
  /** Starts pushing metrics. */
  start(source: PushSource): void;
  /** Begins the last push of metrics. Resolves when its values have been collected. Never rejects. */
  collectLast(): Promise<void>;
  /** Pushes what is left of both signals side by side, within `withinMs`. Never rejects. */
  stop(withinMs: number): Promise<void>;
}

/** Throws a `UsageError` for what a target cannot do, or files it cannot read. */
export function openSdk({ config, resource: facts, counts, ended, log }: SdkOptions): Sdk {
  const resource = agentResource(facts);
  const common = {
    scope: { name: NAME, version: facts.version },
    userAgent: `${NAME}/${facts.version}`,
    log,
  };
  const metrics: MetricPush | undefined =
    config.metrics && openMetricPush({ config: config.metrics, counts: counts.metrics, ...common });
  const traces: TracePush | undefined =
    config.traces &&
    openTracePush({ config: config.traces, counts: counts.traces, resource, ended, ...common });
  // What is not given here, NodeSDK would take from the environment: log exporters, propagators, detectors.
  const sdk = new NodeSDK({
    resource,
    autoDetectResources: false,
    metricReaders: metrics === undefined ? [] : [metrics.reader],
    spanProcessors: traces === undefined ? [] : [traces],
    logRecordProcessors: [],
    instrumentations: [],
    textMapPropagator: null,
  });
  logThrough(log);
  sdk.start();
  return {
    traces,
    start: (source) => metrics?.start(source),
    collectLast: async () => metrics?.collectLast(),
    stop: async (withinMs) => {
      traces?.end(withinMs);
      const late = setTimeout(() => metrics?.close(), withinMs);
      await sdk.shutdown().catch(() => {});
      clearTimeout(late);
    },
  };
}

/** The outcome of each push is logged by `otlp-outcomes.ts`, so what the SDK says of it is detail. */
function logThrough(log: Log): void {
  const debug = (message: string, ...more: unknown[]) =>
    log.debug({ detail: more.map(String).join(' ') }, message);
  diag.setLogger(
    { error: debug, warn: debug, info: debug, debug: () => {}, verbose: () => {} },
    { logLevel: DiagLogLevel.INFO, suppressOverrideMessage: true },
  );
}
