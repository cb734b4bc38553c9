/** Runs OpenTelemetry's NodeSDK with the agent's metrics and traces. Loaded only if OTLP is configured. */
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
/** Time limits at shutdown for collecting and pushing the last values. Kubernetes gives a pod 30 s to stop. */
const LAST_COLLECT_MS = 2000;
const LAST_PUSH_MS = 5000;

export interface SdkOptions {
  config: OtlpConfig;
  resource: Omit<ResourceFacts, 'userAttributes'>;
  /** Returns a signal's counters. Called once for each signal that is pushed. */
  counts(signal: 'metrics' | 'traces'): PushOptions['counts'];
  ended: TracePushOptions['ended'];
  log: Log;
}

/** Starts the SDK. Throws a `UsageError` if a target is unsuitable or its files cannot be read. */
export function openSdk({ config, resource: facts, counts, ended, log }: SdkOptions) {
  const resource = agentResource({ ...facts, userAttributes: config.resource });
  const optionsOf = (signal: 'metrics' | 'traces'): PushOptions => ({
    scope: { name: NAME, version: facts.version },
    counts: counts(signal),
    log,
  });
  const metrics = config.metrics && openMetricPush(config.metrics, optionsOf('metrics'));
  const traces = config.traces && openTracePush(config.traces, { ...optionsOf('traces'), resource, ended });
  // Sets all options, because NodeSDK reads absent ones from environment variables.
  const sdk = new NodeSDK({
    resource,
    autoDetectResources: false,
    metricReaders: metrics === undefined ? [] : [metrics.reader],
    spanProcessors: traces === undefined ? [] : [traces],
    logRecordProcessors: [],
    instrumentations: [],
    textMapPropagator: null,
  });
  // outcomes.ts logs failed pushes, so the SDK's own messages get level debug.
  const debug = (message: string, ...more: unknown[]) =>
    log.debug({ detail: more.map(String).join(' ') }, message);
  const ignore = (): void => {};
  diag.setLogger(
    { error: debug, warn: debug, info: debug, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.INFO, suppressOverrideMessage: true },
  );
  sdk.start();
  return {
    /** Queues traces. A no-op if traces are not pushed. */
    add: traces?.add ?? ignore,
    /** Starts pushing metrics. A no-op if metrics are not pushed. */
    start: (source: PushSource): void => metrics?.start(source),
    /** Collects the last values, which `stop` pushes. Must be called before the agent ends. Never rejects. */
    collectLast: (): Promise<void> =>
      Promise.race([metrics?.collectLast(), sleep(LAST_COLLECT_MS, undefined, { ref: false })]),
    /** Pushes the remaining data. Must be called after the agent has ended. Never rejects. */
    stop: (withinMs = LAST_PUSH_MS): Promise<void> => {
      metrics?.end(withinMs);
      traces?.end(withinMs);
      return sdk.shutdown().catch(ignore);
    },
  };
}
