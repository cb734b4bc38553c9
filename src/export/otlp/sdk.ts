/**
 * Runs OpenTelemetry's NodeSDK with the agent's metrics and traces. Only this file and its imports load OpenTelemetry,
 * and only if OTLP is configured.
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
  /** Called once for each signal that is pushed. */
  counts(signal: 'metrics' | 'traces'): PushCounts;
  ended: TracePushOptions['ended'];
  log: Log;
}

export interface Sdk {
  /** Undefined if traces are not pushed. */
  traces: TracePush | undefined;
  /** Starts pushing metrics. */
  start(source: PushSource): void;
  /** Begins the last push of metrics. Resolves once its values are collected. Never rejects. */
  collectLast(): Promise<void>;
  /** Pushes the rest of both signals at the same time, within `withinMs`. Never rejects. */
  stop(withinMs: number): Promise<void>;
}

/** Throws a `UsageError` if a target is unsuitable or its files can't be read. */
export function openSdk({ config, resource: facts, counts, ended, log }: SdkOptions): Sdk {
  const resource = agentResource(facts);
  const common = {
    scope: { name: NAME, version: facts.version },
    userAgent: `${NAME}/${facts.version}`,
    log,
  };
  const metrics: MetricPush | undefined =
    config.metrics && openMetricPush({ config: config.metrics, counts: counts('metrics'), ...common });
  const traces: TracePush | undefined =
    config.traces &&
    openTracePush({ config: config.traces, counts: counts('traces'), resource, ended, ...common });
  // NodeSDK reads missing options from the environment: log exporters, propagators, detectors.
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

/** `outcomes.ts` logs the outcome of each push, so the SDK's own messages go to level debug. */
function logThrough(log: Log): void {
  const debug = (message: string, ...more: unknown[]) =>
    log.debug({ detail: more.map(String).join(' ') }, message);
  diag.setLogger(
    { error: debug, warn: debug, info: debug, debug: () => {}, verbose: () => {} },
    { logLevel: DiagLogLevel.INFO, suppressOverrideMessage: true },
  );
}
