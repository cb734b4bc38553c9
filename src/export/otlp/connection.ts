/** What the exporter of a protocol is to `otlp-exporter.ts`: exports by OpenTelemetry's delegate, and what went wrong. */
import type { ExportResult } from '@opentelemetry/core';
import type { IExporterMetricsHelper, ISerializer } from '@opentelemetry/otlp-transformer';
import type { OtlpTarget } from '../../model/otlp.ts';
import type { TlsMaterial } from './tls.ts';

/** One kind of telemetry, as the exporters of all protocols want it described. */
export interface Signal<Request, Response> {
  json: ISerializer<Request, Response>;
  protobuf: ISerializer<Request, Response>;
  helper: IExporterMetricsHelper<Request>;
  /** As in `/opentelemetry.proto.collector.metrics.v1.MetricsService/Export`. */
  method: string;
}

export interface Refusal {
  reason: string;
  retryable: boolean;
  /** The time for which the backend wants no further request; undefined when it does not say. */
  waitMs?: number | undefined;
}

export interface ConnectionOptions {
  target: OtlpTarget;
  tls: TlsMaterial;
  userAgent: string;
}

export interface Delegate<Request> {
  export(request: Request, done: (result: ExportResult) => void): void;
  shutdown(): Promise<void>;
}

export interface Connection<Request> {
  /** OpenTelemetry's delegate for an attempt of at most `timeoutMs`. */
  delegate(timeoutMs: number): Delegate<Request>;
  /** Ends the connections. The next attempt makes others. */
  cut(): void;
  /**
   * Begins an attempt. Calls `onFailure` for each of its requests that fails, until the returned function is called:
   * over HTTP the delegate itself tries again.
   */
  watch(onFailure: () => void): () => void;
  /** Why the attempt failed, from the delegate's `error` or, without one, from what was seen of the request. */
  refusal(error?: Error): Refusal;
}
