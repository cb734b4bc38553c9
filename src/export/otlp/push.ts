/** Pushes metrics with OpenTelemetry's SDK. Its periodic reader collects snapshots through a `MetricProducer`. */
import { ExportResultCode, millisToHrTime } from '@opentelemetry/core';
import {
  JsonMetricsSerializer,
  MetricsExporterMetricsHelper,
  ProtobufMetricsSerializer,
} from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { reasonOf } from '../../model/errors.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { OtlpMetricsConfig } from '../../model/otlp.ts';
import type { SampleFamily } from '../sample-family.ts';
import type { PushOptions } from './connection.ts';
import { openExporter } from './exporter.ts';
import { createOutcomes } from './outcomes.ts';
import { createPointMaker } from './points.ts';
import { createSender } from './send.ts';

const METRICS = {
  json: JsonMetricsSerializer,
  protobuf: ProtobufMetricsSerializer,
  helper: MetricsExporterMetricsHelper,
  method: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
};
/** Maximum data points per request. A point with 200 bounds needs 3.4 KiB, and gRPC's default limit is 4 MiB. */
const POINTS_PER_REQUEST = 1000;

export interface PushSource {
  /** Returns the snapshots that a scrape would render. */
  scrape(): Promise<readonly MetricSnapshot[]>;
  processMetrics(): Promise<readonly SampleFamily[]>;
  constantLabels: Readonly<Record<string, string>>;
  /** When the agent began to count, in milliseconds since 1970. */
  startMs: number;
}

/** Throws a `UsageError` if the target is unsuitable or its files cannot be read. */
export function openMetricPush(config: OtlpMetricsConfig, options: PushOptions) {
  const { target, intervalMs, exportTimeoutMs, histograms } = config;
  const sender = createSender(openExporter(METRICS, target, options), target.timeoutMs);
  const outcomes = createOutcomes('metrics', options.counts, options.log);
  let collect = async (): Promise<MetricData[]> => [];
  /** Deadline of all requests of the current push. */
  let deadlineMs = 0;

  const collected = (): Promise<MetricData[]> =>
    collect().catch((error) => {
      outcomes.take({ accepted: false, reason: `no metrics: ${reasonOf(error)}` });
      return [];
    });
  const reader = new PeriodicExportingMetricReader({
    exporter: {
      export: async (metrics, done) => {
        const fate = await sender.send(metrics, deadlineMs - performance.now());
        outcomes.take(fate);
        done({ code: fate.accepted ? ExportResultCode.SUCCESS : ExportResultCode.FAILED });
      },
      selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
      forceFlush: async () => {},
      shutdown: async () => {
        sender.close();
        outcomes.ended();
      },
    },
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: exportTimeoutMs,
    maxExportBatchSize: POINTS_PER_REQUEST,
    metricProducers: [
      {
        collect: async () => {
          const metrics = await collected();
          deadlineMs = performance.now() + exportTimeoutMs;
          // The reader uses the provider's resource and ignores the producer's.
          const scopeMetrics = metrics.length === 0 ? [] : [{ scope: options.scope, metrics }];
          return { resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics }, errors: [] };
        },
      },
    ],
  });
  return {
    reader,
    /** Starts pushing the values of a source. Before this call, nothing is pushed. */
    start: ({ scrape, processMetrics, constantLabels, startMs }: PushSource): void => {
      const pointsOf = createPointMaker({ histograms, constantLabels, start: millisToHrTime(startMs) });
      collect = async () => {
        const [snapshots, foreign] = await Promise.all([scrape(), processMetrics()]);
        return pointsOf(snapshots, foreign, millisToHrTime(Date.now()));
      };
      const { origin, pathname } = new URL(target.url);
      const fields = { endpoint: origin + pathname, protocol: target.protocol, intervalMs };
      options.log.info(fields, 'pushing metrics over OTLP');
    },
    /** Collects the last values, which the reader pushes when it shuts down. Never rejects. */
    collectLast: async (): Promise<void> => {
      const last = await collected();
      collect = async () => last.splice(0);
    },
    end: sender.end,
  };
}
