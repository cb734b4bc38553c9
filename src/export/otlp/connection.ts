/** Types that the signals (metrics and traces), the exporter and the protocols share. */
import type { IOtlpExportDelegate, OtlpSharedConfiguration } from '@opentelemetry/otlp-exporter-base';
import type { IExporterMetricsHelper, ISerializer } from '@opentelemetry/otlp-transformer';
import type { Log } from '../../model/log.ts';
import type { OtlpTarget, PushCounts } from '../../model/otlp.ts';
import type { TlsMaterial } from './tls.ts';

/** A backend's response. `partialSuccess` contains the number of rejected items, and the reason. */
export type Answer = { partialSuccess?: { errorMessage?: string | null | undefined } | null | undefined };

/** Describes a signal for the exporters of all protocols. */
export interface Signal<Request> {
  json: Pick<ISerializer<Request, Answer>, 'serializeRequest'>;
  protobuf: ISerializer<Request, Answer>;
  helper: IExporterMetricsHelper<Request>;
  /** The gRPC method, such as `/opentelemetry.proto.collector.metrics.v1.MetricsService/Export`. */
  method: string;
}

/** Push options of all signals. */
export interface PushOptions {
  scope: { name: string; version: string };
  counts: PushCounts;
  log: Log;
}

/** Outcome of a request. */
export type Fate =
  /** `rejected` counts data points or spans. A backend can send a message even if it rejects nothing. */
  | { accepted: true; rejected: number; message: string }
  /** `waitMs`: how long the backend asks us to wait before the next request. */
  | { accepted: false; reason: string; retryable?: boolean; waitMs?: number | undefined };

export interface ConnectionOptions<Request> {
  target: OtlpTarget;
  tls: TlsMaterial;
  signal: Signal<Request>;
  serializer: ISerializer<Request, Answer>;
  /** Options of OpenTelemetry's export delegates for all protocols. */
  shared: OtlpSharedConfiguration & { userAgent: string };
}

export interface Connection<Request> {
  send: IOtlpExportDelegate<Request>['export'];
  /** Returns why the last request failed. `error` comes from the callback of `send`. */
  refusalOf(error: Error | undefined): Fate;
  /** Closes the sockets. The connection must not be used afterwards. */
  cut(): void;
}
