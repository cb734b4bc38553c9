/** What signals, `exporter.ts` and the protocols know of each other. */
import type { IOtlpExportDelegate, OtlpSharedConfiguration } from '@opentelemetry/otlp-exporter-base';
import type { IExporterMetricsHelper, ISerializer } from '@opentelemetry/otlp-transformer';
import type { Log } from '../../model/log.ts';
import type { OtlpTarget, PushCounts } from '../../model/otlp.ts';
import type { TlsMaterial } from './tls.ts';

/** A backend's message about the items that it did not accept: their number, and why. */
export type Answer = { partialSuccess?: { errorMessage?: string | null | undefined } | null | undefined };

/** Describes a signal for the exporters of all protocols. */
export interface Signal<Request> {
  json: Pick<ISerializer<Request, Answer>, 'serializeRequest'>;
  protobuf: ISerializer<Request, Answer>;
  helper: IExporterMetricsHelper<Request>;
  /** The gRPC method: `/opentelemetry.proto.collector.metrics.v1.MetricsService/Export`. */
  method: string;
}

/** What all signals need to push. */
export interface PushOptions {
  scope: { name: string; version: string };
  counts: PushCounts;
  log: Log;
}

/** Outcome of a request. */
export type Fate =
  /** `rejected` is a number of items. A backend can send a message even if it rejects nothing. */
  | { accepted: true; rejected: number; message: string }
  /** `waitMs`: how long the backend asks us to wait. */
  | { accepted: false; reason: string; retryable?: boolean; waitMs?: number | undefined };

export interface ConnectionOptions<Request> {
  target: OtlpTarget;
  tls: TlsMaterial;
  signal: Signal<Request>;
  serializer: ISerializer<Request, Answer>;
  /** Options that the delegates of all protocols have. */
  shared: OtlpSharedConfiguration & { userAgent: string };
}

export interface Connection<Request> {
  /** Makes one request. */
  send: IOtlpExportDelegate<Request>['export'];
  /** Why the last export failed. */
  refusalOf(error: Error | undefined): Fate;
  /** Closes the sockets. The connection is not used afterwards. */
  cut(): void;
}
