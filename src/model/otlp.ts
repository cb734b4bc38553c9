/** Where telemetry is pushed to, as the config decides it and exporters take it. Plain data. */

export const OTLP_PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const;
export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number];

export interface OtlpTarget {
  protocol: OtlpProtocol;
  /** Of HTTP with the path of the signal, of gRPC without any; https: TLS. */
  url: string;
  /** Values can be secrets. */
  headers: Readonly<Record<string, string>>;
  /** For one attempt. */
  timeoutMs: number;
  compression: 'none' | 'gzip';
  /** Files in PEM: whom to trust instead of the system's authorities, and what to show. */
  certificateFile?: string;
  clientCertificateFile?: string;
  clientKeyFile?: string;
}

/** What histograms are pushed as: with the bounds of the scrape, or with exponential buckets of scale 3. */
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
  /** Spans that wait; traces for which there is no room are dropped whole. */
  maxQueueSpans: number;
  /** Spans of a request; a larger trace has one of its own. */
  maxBatchSpans: number;
  /** How long the first one waits for others. */
  delayMs: number;
  /** For one request with all its attempts. */
  exportTimeoutMs: number;
}

export interface OtlpConfig {
  /** Undefined: not pushed. */
  metrics?: OtlpMetricsConfig;
  traces?: OtlpTracesConfig;
  /** What the user says of the resource, over what is found out. */
  resource: Readonly<Record<string, string>>;
}
