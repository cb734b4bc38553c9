/** Where and how to push telemetry. */

export const OTLP_PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const;
export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number];

export interface OtlpTarget {
  protocol: OtlpProtocol;
  /** For HTTP, the URL includes the path of the signal. For gRPC, it has no path. `https` means TLS. */
  url: string;
  /** The values can be secrets. */
  headers: Readonly<Record<string, string>>;
  /** Timeout of one attempt. */
  timeoutMs: number;
  compression: 'none' | 'gzip';
  /** Paths of PEM files: CA certificates (used instead of the system's), the client certificate, and its key. */
  certificateFile?: string | undefined;
  clientCertificateFile?: string | undefined;
  clientKeyFile?: string | undefined;
}

/** How to push histograms: with the classic bounds of a Prometheus scrape, or with exponential buckets of scale 3. */
export const OTLP_HISTOGRAMS = ['explicit_bucket_histogram', 'base2_exponential_bucket_histogram'] as const;
export type OtlpHistograms = (typeof OTLP_HISTOGRAMS)[number];

export interface OtlpMetricsConfig {
  target: OtlpTarget;
  intervalMs: number;
  /** Timeout of one push, including retries; at most the interval. */
  exportTimeoutMs: number;
  histograms: OtlpHistograms;
}

export interface OtlpTracesConfig {
  target: OtlpTarget;
  /** Maximum queued spans. A trace that does not fit is dropped entirely. */
  maxQueueSpans: number;
  /** Maximum spans per request. A trace with more spans is sent in a separate request. */
  maxBatchSpans: number;
  /** How long the exporter waits for more traces after the first one. */
  delayMs: number;
  /** Timeout of one request, including retries. */
  exportTimeoutMs: number;
}

/** Counts requests of one signal. */
export interface PushCounts {
  count(outcome: 'exported' | 'failed'): void;
  /** Counts data points or spans that the backend rejected in a request that it otherwise accepted. */
  reject(items: number): void;
}

export interface OtlpConfig {
  /** A signal that is undefined is not pushed. */
  metrics?: OtlpMetricsConfig | undefined;
  traces?: OtlpTracesConfig | undefined;
  /** Resource attributes set by the user; they override detected ones. */
  resource: Readonly<Record<string, string>>;
}
