/** Where and how to push telemetry, as plain data: the config decides it, exporters use it. */

export const OTLP_PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const;
export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number];

export interface OtlpTarget {
  protocol: OtlpProtocol;
  /** With the signal's path for HTTP, without a path for gRPC. https means TLS. */
  url: string;
  /** Values can be secrets. */
  headers: Readonly<Record<string, string>>;
  /** For one attempt. */
  timeoutMs: number;
  compression: 'none' | 'gzip';
  /** PEM files: authorities to trust instead of the system's, and the client certificate and key. */
  certificateFile?: string | undefined;
  clientCertificateFile?: string | undefined;
  clientKeyFile?: string | undefined;
}

/** How to push histograms: with the bounds of the scrape, or with exponential buckets of scale 3. */
export type OtlpHistograms = 'explicit' | 'exponential';

export interface OtlpMetricsConfig {
  target: OtlpTarget;
  intervalMs: number;
  /** For one push with all its attempts; at most the interval. */
  exportTimeoutMs: number;
  histograms: OtlpHistograms;
}

export interface OtlpTracesConfig {
  target: OtlpTarget;
  /** Maximum queued spans. A trace that does not fit is dropped as a whole. */
  maxQueueSpans: number;
  /** Maximum spans per request. A larger trace gets a request of its own. */
  maxBatchSpans: number;
  /** How long the first trace waits for others. */
  delayMs: number;
  /** For one request with all its attempts. */
  exportTimeoutMs: number;
}

export interface OtlpConfig {
  /** Undefined: metrics are not pushed. */
  metrics?: OtlpMetricsConfig | undefined;
  traces?: OtlpTracesConfig | undefined;
  /** Resource attributes set by the user; they override detected ones. */
  resource: Readonly<Record<string, string>>;
}
