/** What `exporter.ts` needs from a protocol, and what a protocol needs to know of a kind of telemetry. */
import type { IExporterMetricsHelper, ISerializer } from '@opentelemetry/otlp-transformer';
import type { OtlpTarget } from '../../model/otlp.ts';
import type { TlsMaterial } from './tls.ts';

/** Describes one kind of telemetry for the exporters of all protocols. */
export interface Signal<Request, Response> {
  /** What a request contains, such as "spans". */
  items: string;
  json: ISerializer<Request, Response>;
  protobuf: ISerializer<Request, Response>;
  helper: IExporterMetricsHelper<Request>;
  /** As in `/opentelemetry.proto.collector.metrics.v1.MetricsService/Export`. */
  method: string;
  /** What the response reports about rejected items. */
  partialSuccess(response: Response): { rejected?: unknown; message?: string | null | undefined } | undefined;
}

export interface Refusal {
  reason: string;
  retryable: boolean;
  /** How long the backend asks us to send nothing; undefined if it does not say. */
  waitMs?: number | undefined;
}

export interface ConnectionOptions {
  target: OtlpTarget;
  tls: TlsMaterial;
  userAgent: string;
}

/** What a protocol provides. */
export interface Connection<Request> {
  /** Makes one request. `done` gets the refusal if the backend does not accept it. */
  send(request: Request, timeoutMs: number, done: (refusal?: Refusal) => void): void;
  /** Closes the sockets. The connection is not used again. */
  cut(): void;
}
