/** What `exporter.ts` needs from a protocol: exports through OpenTelemetry's delegate, and the reason of a failure. */
import type { ExportResult } from '@opentelemetry/core';
import type { IExporterMetricsHelper, ISerializer } from '@opentelemetry/otlp-transformer';
import type { OtlpTarget } from '../../model/otlp.ts';
import type { TlsMaterial } from './tls.ts';

/** Describes one kind of telemetry for the exporters of all protocols. */
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
  /** How long the backend asks us to send nothing; undefined if it does not say. */
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
  /** Makes OpenTelemetry's delegate for one attempt of at most `timeoutMs`. */
  delegate(timeoutMs: number): Delegate<Request>;
  /** Closes the connections. The next attempt opens new ones. */
  cut(): void;
  /**
   * Begins an attempt. Calls `onFailure` for each failed request until the returned function is called; over HTTP, the
   * delegate retries by itself.
   */
  watch(onFailure: () => void): () => void;
  /** Why the attempt failed: from the delegate's `error` or, without one, from the observed response. */
  refusal(error?: Error): Refusal;
}
