/**
 * Connects metrics to OpenTelemetry's SDK: its periodic reader gets the agent's snapshots from a `MetricProducer` and
 * pushes them with its exporters.
 */
import { ExportResultCode } from '@opentelemetry/core';
import {
  type IExportMetricsServiceResponse,
  JsonMetricsSerializer,
  MetricsExporterMetricsHelper,
  ProtobufMetricsSerializer,
} from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type MetricData,
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { OtlpMetricsConfig } from '../../model/otlp.ts';
import type { SampleFamily } from '../sample-family.ts';
import { openExporter } from './exporter.ts';
import { createOutcomes, type PushCounts } from './outcomes.ts';
import { createPointMaker } from './points.ts';
import { createSender, type Fate } from './send.ts';
import type { HrTime } from './series.ts';

const METRICS = {
  items: 'points',
  json: JsonMetricsSerializer,
  protobuf: ProtobufMetricsSerializer,
  helper: MetricsExporterMetricsHelper,
  method: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  partialSuccess: ({ partialSuccess: partial }: IExportMetricsServiceResponse) =>
    partial && { rejected: partial.rejectedDataPoints, message: partial.errorMessage },
};
/** gRPC backends accept 4 MiB by default. A histogram with 200 bounds, the maximum, takes 3.4 KiB. */
const POINTS_PER_REQUEST = 1000;

/** Source of the pushed values. */
export interface PushSource {
  /** Snapshots as for a scrape. */
  scrape(): Promise<readonly MetricSnapshot[]>;
  processMetrics(): Promise<readonly SampleFamily[]>;
  constantLabels: Readonly<Record<string, string>>;
  /** When the agent began to count, in milliseconds since 1970. */
  startMs: number;
}

export interface PushOptions {
  config: OtlpMetricsConfig;
  scope: { name: string; version: string };
  userAgent: string;
  counts: PushCounts;
  log: Log;
}

export interface MetricPush {
  reader: PeriodicExportingMetricReader;
  /** Sets what the reader collects. Nothing is pushed before this. */
  start(source: PushSource): void;
  /** Begins the last push. Resolves once its values are collected; the source may end then. Never rejects. */
  collectLast(): Promise<void>;
  /** Abandons requests under way. */
  close(): void;
}

/** Throws a `UsageError` if the target is unsuitable or its files can't be read. */
export function openMetricPush({ config, scope, userAgent, counts, log }: PushOptions): MetricPush {
  const exporter = openExporter(METRICS, config.target, { userAgent, log });
  const sender = createSender({ exporter, timeoutMs: config.target.timeoutMs });
  const outcomes = createOutcomes('metrics', counts, log);
  let collectFrom: (() => Promise<MetricData[]>) | undefined;
  let onCollected = (): void => {};
  /** Deadline of the current push, including all of its requests. */
  let deadlineMs = 0;

  const collected = async (): Promise<MetricData[]> => {
    try {
      return (await collectFrom?.()) ?? [];
    } catch (error) {
      outcomes.take({ accepted: false, reason: `no metrics: ${reasonOf(error)}` });
      return [];
    } finally {
      deadlineMs = performance.now() + config.exportTimeoutMs;
      onCollected();
    }
  };
  const producer: MetricProducer = {
    collect: async () => {
      const metrics = await collected();
      // The reader uses the provider's resource and ignores the producer's.
      const scopeMetrics = metrics.length === 0 ? [] : [{ scope, metrics }];
      return { resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics }, errors: [] };
    },
  };

  const fateOf = async (metrics: ResourceMetrics): Promise<Fate> => {
    const leftMs = deadlineMs - performance.now();
    if (leftMs > 0) return sender.send(metrics, leftMs);
    return { accepted: false, reason: `the push has used up its ${config.exportTimeoutMs / 1000} s` };
  };
  const pushExporter: PushMetricExporter = {
    export: (metrics, done) => {
      void fateOf(metrics).then((fate) => {
        outcomes.take(fate);
        if (fate.accepted) done({ code: ExportResultCode.SUCCESS });
        else done({ code: ExportResultCode.FAILED, error: new Error(fate.reason) });
      });
    },
    selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
    forceFlush: async () => {},
    shutdown: async () => {
      sender.close();
      outcomes.ended();
    },
  };

  const reader = new PeriodicExportingMetricReader({
    exporter: pushExporter,
    exportIntervalMillis: config.intervalMs,
    exportTimeoutMillis: config.exportTimeoutMs,
    maxExportBatchSize: POINTS_PER_REQUEST,
    metricProducers: [producer],
  });
  return {
    reader,
    start: (source) => {
      const maker = createPointMaker({
        histograms: config.histograms,
        constantLabels: source.constantLabels,
        start: hrTime(source.startMs),
      });
      collectFrom = async () => {
        const [snapshots, foreign] = await Promise.all([source.scrape(), source.processMetrics()]);
        return maker.make(snapshots, foreign, hrTime(Date.now()));
      };
      const { protocol, url } = config.target;
      const { origin, pathname } = new URL(url);
      const fields = { endpoint: origin + pathname, protocol, intervalMs: config.intervalMs };
      log.info(fields, 'pushing metrics over OTLP');
    },
    collectLast: () => {
      sender.hurry();
      const { promise, resolve } = Promise.withResolvers<void>();
      onCollected = () => {
        collectFrom = undefined;
        resolve();
      };
      void reader.forceFlush().then(resolve, resolve);
      return promise;
    },
    close: () => sender.close(),
  };
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
