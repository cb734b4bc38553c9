/**
 * Runs OpenTelemetry's NodeSDK with the agent's metrics and traces. Only this file and its imports load OpenTelemetry,
 * and only if OTLP is configured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import type { Log } from '../../model/log.ts';
import type { OtlpConfig } from '../../model/otlp.ts';
import type { PushOptions } from './connection.ts';
import { openMetricPush, type PushSource } from './push.ts';
import { agentResource, type ResourceFacts } from './resource.ts';
import { openTracePush, type TracePushOptions } from './traces.ts';

const NAME = 'ftrace-exporter';
/** Time limits for collecting the last values and for the last exports; Kubernetes gives a pod 30 s to end. */
const LAST_COLLECT_MS = 2000;
const LAST_PUSH_MS = 5000;

export interface SdkOptions {
  config: OtlpConfig;
  resource: Omit<ResourceFacts, 'userAttributes'>;
  /** Called once for each signal that is pushed. */
  counts(signal: 'metrics' | 'traces'): PushOptions['counts'];
  ended: TracePushOptions['ended'];
  log: Log;
}

/** Throws a `UsageError` if a target is unsuitable or its files can't be read. */
export function openSdk({ config, resource: facts, counts, ended, log }: SdkOptions) {
  const resource = agentResource({ ...facts, userAttributes: config.resource });
  const optionsOf = (signal: 'metrics' | 'traces'): PushOptions => ({
    scope: { name: NAME, version: facts.version },
    counts: counts(signal),
    log,
  });
  const metrics = config.metrics && openMetricPush(config.metrics, optionsOf('metrics'));
  const traces = config.traces && openTracePush(config.traces, { ...optionsOf('traces'), resource, ended });
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
  // We log the outcome of each push, so the SDK's own messages go to level debug.
  const debug = (message: string, ...more: unknown[]) =>
    log.debug({ detail: more.map(String).join(' ') }, message);
  const ignore = (): void => {};
  diag.setLogger(
    { error: debug, warn: debug, info: debug, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.INFO, suppressOverrideMessage: true },
  );
  sdk.start();
  return {
    /** Queues traces, if they are pushed. */
    add: traces?.add ?? ignore,
    /** Starts pushing metrics. */
    start: (source: PushSource): void => metrics?.start(source),
    /** Called before the agent ends: collects the last values, which `stop` pushes. Never rejects. */
    collectLast: (): Promise<void> =>
      Promise.race([metrics?.collectLast(), sleep(LAST_COLLECT_MS, undefined, { ref: false })]),
    /** Called after the agent has ended: pushes the rest of both signals at the same time. Never rejects. */
    stop: (withinMs = LAST_PUSH_MS): Promise<void> => {
      metrics?.end(withinMs);
      traces?.end(withinMs);
      return sdk.shutdown().catch(ignore);
    },
  };
}
