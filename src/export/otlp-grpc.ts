/**
 * OTLP over gRPC (opentelemetry.io/docs/specs/otlp, OTLP/gRPC): one unary call an attempt. Messages are bytes already,
 * so no service definition is loaded.
 */
import { Client, type ClientOptions, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { UsageError } from '../model/errors.ts';
import type { OtlpTarget } from '../model/otlp.ts';
import type { Attempt, Transport } from './otlp-send.ts';
import { retryDelayMs } from './otlp-status.ts';
import type { TlsFiles } from './otlp-tls.ts';

/** Codes that may pass (specs/otlp, OTLP/gRPC throttling); RESOURCE_EXHAUSTED only where it says for how long. */
const RETRYABLE: readonly number[] = [
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
];
const GZIP = 2;
/** What a channel waits at most before it tries to connect again; two minutes by default. */
const LONGEST_RECONNECT_MS = 10_000;

export interface GrpcOptions {
  target: OtlpTarget;
  tls: TlsFiles;
  userAgent: string;
  /** As in `/opentelemetry.proto.collector.metrics.v1.MetricsService/Export`. */
  method: string;
}

export function createGrpcTransport({ target, tls, userAgent, method }: GrpcOptions): Transport {
  const url = new URL(target.url);
  const isTls = url.protocol === 'https:';
  // An address without a port would be one of the default port of HTTP.
  const address = `${url.hostname}:${url.port || (isTls ? 443 : 80)}`;
  const options: ClientOptions = {
    'grpc.primary_user_agent': userAgent,
    'grpc.max_reconnect_backoff_ms': LONGEST_RECONNECT_MS,
    'grpc.enable_retries': 0,
    ...(target.compression === 'gzip' ? { 'grpc.default_compression_algorithm': GZIP } : {}),
  };
  const metadata = metadataOf(target.headers);
  let client: Client | undefined;
  const drop = () => {
    client?.close();
    client = undefined;
  };
  const clientNow = (): Client => {
    if (tls.changed()) drop();
    const { ca = null, key = null, cert = null } = tls.now();
    client ??= new Client(
      address,
      isTls ? credentials.createSsl(ca, key, cert) : credentials.createInsecure(),
      options,
    );
    return client;
  };

  return {
    attempt: (body, timeoutMs, signal) =>
      new Promise((resolve) => {
        const deadline = Date.now() + timeoutMs;
        const call = clientNow().makeUnaryRequest(
          method,
          (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
          (bytes: Buffer) => bytes,
          body,
          metadata,
          { deadline },
          (error, response) => {
            signal.removeEventListener('abort', cancel);
            // A connection can be dead without a word: the next attempt gets another one.
            if (error?.code === status.DEADLINE_EXCEEDED) drop();
            resolve(
              error === null ? { taken: true, response: response ?? new Uint8Array() } : refusal(error),
            );
          },
        );
        const cancel = () => call.cancel();
        signal.addEventListener('abort', cancel);
      }),
    close: drop,
  };
}

/** What HTTP takes for a header is not always one of gRPC's. */
function metadataOf(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) {
    try {
      metadata.set(name, value);
    } catch {
      throw new UsageError(
        `otlp.headers: ${JSON.stringify(name)}: the name or its value cannot be sent by gRPC`,
      );
    }
  }
  return metadata;
}

function refusal(error: ServiceError): Attempt {
  const [details] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const waitMs = details instanceof Uint8Array ? retryDelayMs(details) : undefined;
  const retryable =
    RETRYABLE.includes(error.code) || (error.code === status.RESOURCE_EXHAUSTED && waitMs !== undefined);
  const reason = `gRPC ${status[error.code] ?? error.code}: ${error.details}`;
  return { taken: false, reason, retryable, ...(waitMs === undefined ? {} : { waitMs }) };
}
