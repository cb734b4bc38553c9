/**
 * Metrics pushed over OTLP: the SDK's periodic reader asks for our snapshots, its encoder writes them, our transports
 * carry them. Loaded only where something is pushed: the SDK takes memory and half a second of the start.
 */
import { ExportResultCode } from '@opentelemetry/core';
import { JsonMetricsSerializer, ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type CollectionResult,
  MeterProvider,
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { Log } from '../model/log.ts';
import type { MetricSnapshot } from '../model/metric.ts';
import type { OtlpMetricsConfig } from '../model/otlp.ts';
import { createOutcomes, type Outcomes, type PushCounts, partialSuccess } from './otlp-outcomes.ts';
import { createPointMaker, type PointMaker } from './otlp-points.ts';
import { type ResourceFacts, resourceAttributes } from './otlp-resource.ts';
import { createSender, type Fate, type Sender } from './otlp-send.ts';
import type { HrTime } from './otlp-series.ts';
import { openTransport } from './otlp-transport.ts';
import type { SampleFamily } from './sample-family.ts';

const SCOPE = 'ftrace-exporter';
const GRPC_METHOD = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export';
/** gRPC backends take 4 MiB of a message by default; a histogram of 200 bounds, the most there can be, takes 3.4 KiB. */
const POINTS_A_REQUEST = 1000;

export interface PushOptions {
  config: OtlpMetricsConfig;
  resource: ResourceFacts;
  counts: PushCounts;
  log: Log;
}

/** What is pushed. */
export interface PushSource {
  /** As for a scrape. */
  scrape(): Promise<readonly MetricSnapshot[]>;
  processMetrics(): Promise<readonly SampleFamily[]>;
  constantLabels: Readonly<Record<string, string>>;
  /** When the agent began to count, in milliseconds since 1970. */
  startMs: number;
}

export interface Push {
  /** Pushes from now on; once only. */
  start(source: PushSource): void;
  /** Pushes once more and ends, in `withinMs` at the latest. Never rejects. */
  stop(withinMs: number): Promise<void>;
}

/** Makes everything ready. Throws a `UsageError` for what the target cannot do, or files it cannot read. */
export function openPush({ config, resource, counts, log }: PushOptions): Push {
  const userAgent = `${SCOPE}/${resource.version}`;
  const transport = openTransport(config.target, { userAgent, method: GRPC_METHOD, log });
  const sender = createSender({ transport, timeoutMs: config.target.timeoutMs });
  const outcomes = createOutcomes('metrics', counts, log);
  /** When the push under way must have ended, all of its requests together. */
  const deadline = { atMs: 0 };
  let provider: MeterProvider | undefined;
  return {
    start: (source) => {
      const maker = createPointMaker({
        histograms: config.histograms,
        constantLabels: source.constantLabels,
        start: hrTime(source.startMs),
      });
      const producer = producerOf(source, maker, outcomes, resource.version, () => {
        deadline.atMs = performance.now() + config.exportTimeoutMs;
      });
      const reader = new PeriodicExportingMetricReader({
        exporter: exporterOf(config, sender, outcomes, deadline),
        exportIntervalMillis: config.intervalMs,
        exportTimeoutMillis: config.exportTimeoutMs,
        maxExportBatchSize: POINTS_A_REQUEST,
        metricProducers: [producer],
      });
      provider = new MeterProvider({
        resource: defaultResource().merge(resourceFromAttributes(resourceAttributes(resource))),
        readers: [reader],
      });
      const { protocol, url } = config.target;
      const { origin, pathname } = new URL(url);
      const fields = { endpoint: origin + pathname, protocol, intervalMs: config.intervalMs };
      log.info(fields, 'pushing metrics over OTLP');
    },
    stop: async (withinMs) => {
      sender.hurry();
      try {
        await provider?.shutdown({ timeoutMillis: withinMs });
      } catch {
        // Too late: what is under way fails now, and is counted.
      }
      sender.close();
      outcomes.ended();
    },
  };
}

function producerOf(
  source: PushSource,
  maker: PointMaker,
  outcomes: Outcomes,
  version: string,
  collected: () => void,
): MetricProducer {
  const scope = { name: SCOPE, version };
  // The reader takes the provider's resource, and has no use for the producer's.
  const result = (metrics: ReturnType<PointMaker['make']>): CollectionResult => {
    const scopeMetrics = metrics.length === 0 ? [] : [{ scope, metrics }];
    return { resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics }, errors: [] };
  };
  return {
    collect: async () => {
      try {
        const [snapshots, foreign] = await Promise.all([source.scrape(), source.processMetrics()]);
        const metrics = maker.make(snapshots, foreign, hrTime(Date.now()));
        collected();
        return result(metrics);
      } catch (error) {
        outcomes.failed(`no metrics: ${error instanceof Error ? error.message : String(error)}`);
        return result([]);
      }
    },
  };
}

function exporterOf(
  { target, exportTimeoutMs }: OtlpMetricsConfig,
  sender: Sender,
  outcomes: Outcomes,
  deadline: { readonly atMs: number },
): PushMetricExporter {
  const serializer = target.protocol === 'http/json' ? JsonMetricsSerializer : ProtobufMetricsSerializer;

  const fateOf = async (metrics: ResourceMetrics): Promise<Fate> => {
    const leftMs = deadline.atMs - performance.now();
    if (leftMs <= 0)
      return { taken: false, reason: `the push has taken its ${exportTimeoutMs / 1000} s already` };
    const body = serializer.serializeRequest(metrics);
    if (body === undefined) return { taken: false, reason: 'the metrics cannot be encoded' };
    return sender.send(body, leftMs);
  };

  const push = async (metrics: ResourceMetrics): Promise<Error | undefined> => {
    const fate = await fateOf(metrics);
    if (!fate.taken) {
      outcomes.failed(fate.reason);
      return new Error(fate.reason);
    }
    outcomes.exported();
    const partial = partialSuccess(serializer, fate.response);
    const points = Number(partial?.rejectedDataPoints ?? 0);
    const reason = partial?.errorMessage ?? '';
    if (points > 0 || reason !== '') outcomes.rejected(points, reason);
    return undefined;
  };

  return {
    export: (metrics, done) => {
      void push(metrics).then(
        (error) =>
          done(error ? { code: ExportResultCode.FAILED, error } : { code: ExportResultCode.SUCCESS }),
        (error: Error) => {
          outcomes.failed(error.message);
          done({ code: ExportResultCode.FAILED, error });
        },
      );
    },
    selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
    forceFlush: async () => {},
    shutdown: async () => {},
  };
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
