/** What `exporter.ts` needs from a protocol, and what a protocol needs to know about a signal. */
import type { IOtlpExportDelegate } from '@opentelemetry/otlp-exporter-base';
import type { IExporterMetricsHelper, ISerializer } from '@opentelemetry/otlp-transformer';
import type { OtlpTarget } from '../../model/otlp.ts';
import type { TlsMaterial } from './tls.ts';

/** Describes a signal for the exporters of all protocols. */
export interface Signal<Request, Response> {
  json: ISerializer<Request, Response>;
  protobuf: ISerializer<Request, Response>;
  helper: IExporterMetricsHelper<Request>;
  /** The gRPC method: `/opentelemetry.proto.collector.metrics.v1.MetricsService/Export`. */
  method: string;
}

/** Outcome of a request. */
export type Fate =
  /** `rejected` is a number of items. A backend can send a message even if it rejects nothing. */
  | { accepted: true; rejected: number; message: string }
  /** `waitMs`: how long the backend asks us to wait. */
  | { accepted: false; reason: string; retryable?: boolean; waitMs?: number | undefined };

export interface ConnectionOptions<Request, Response> {
  signal: Signal<Request, Response>;
  serializer: ISerializer<Request, Response>;
  target: OtlpTarget;
  tls: TlsMaterial;
  userAgent: string;
}

/** The functions that a protocol implements. */
export interface Connection<Request> {
  /** Makes one request for each export. */
  delegate: Pick<IOtlpExportDelegate<Request>, 'export'>;
  /** Why the last export failed. */
  refusalOf(error: Error | undefined): Fate;
  /** Closes the sockets. The connection is not used afterwards. */
  cut(): void;
}
