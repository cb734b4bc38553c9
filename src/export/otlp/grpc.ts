/**
 * OTLP over gRPC with otlp-grpc-exporter-base 0.301. The library does not report which failures are temporary, or how
 * long the backend asks us to wait, so `refusalOf` reads both from the error. A closed client of grpc-js 1.14 keeps its
 * connection to a silent backend, so we find the sockets through a diagnostics channel and destroy them.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import {
  createEmptyMetadata,
  createInsecureCredentials,
  createOtlpGrpcExportDelegate,
  createSslCredentials,
} from '@opentelemetry/otlp-grpc-exporter-base';
import type { Connection, ConnectionOptions, Fate } from './connection.ts';

/** Temporary failures (specs/otlp, OTLP/gRPC throttling). RESOURCE_EXHAUSTED is temporary only with a retry delay. */
const RETRYABLE = ['CANCELLED', 'DEADLINE_EXCEEDED', 'ABORTED', 'OUT_OF_RANGE', 'UNAVAILABLE', 'DATA_LOSS'];

/** The abort signal of the gRPC client in whose async context the code runs. `cut` aborts the signal. */
const endOfClient = new AsyncLocalStorage<AbortSignal>();
subscribe('net.client.socket', (message) => {
  const end = endOfClient.getStore();
  if (end === undefined) return;
  const { socket } = message as { socket: Socket };
  const destroy = (): void => void socket.destroy();
  // grpc-js can still open a socket after its client is closed.
  if (end.aborted) process.nextTick(destroy);
  end.addEventListener('abort', destroy);
  socket.once('close', () => end.removeEventListener('abort', destroy));
});

let clients = 0;

export function grpcConnection<Request>(options: ConnectionOptions<Request>): Connection<Request> {
  const { signal, serializer, target, shared, tls } = options;
  const { protocol, hostname, port } = new URL(target.url);
  const isTls = protocol === 'https:';
  const end = new AbortController();
  const delegate = createOtlpGrpcExportDelegate(
    {
      ...shared,
      url: `${hostname}:${port || (isTls ? 443 : 80)}`,
      metadata: () => {
        const metadata = createEmptyMetadata();
        for (const [name, value] of Object.entries(target.headers)) metadata.set(name, value);
        return metadata;
      },
      credentials: () =>
        isTls ? createSslCredentials(tls.ca, tls.key, tls.cert) : createInsecureCredentials(),
      // A unique name, because clients with the same name would share connections and grpc-js' reconnect delay.
      userAgent: `${shared.userAgent} (${++clients})`,
    },
    serializer,
    'otlp_grpc_exporter',
    signal.helper,
    undefined,
    'Export',
    signal.method,
  );
  return {
    send: (request, done) => endOfClient.run(end.signal, () => delegate.export(request, done)),
    refusalOf,
    cut: () => {
      void delegate.shutdown();
      end.abort();
    },
  };
}

type GrpcError = { code: number; details: string; metadata: ReturnType<typeof createEmptyMetadata> };

function refusalOf(error: Partial<Error & GrpcError> = {}): Fate {
  const { code, message = 'no response', details, metadata } = error;
  if (code === undefined) return { accepted: false, reason: message, retryable: true };
  // The message looks like "14 UNAVAILABLE: details".
  const name = /^\d+ ([A-Z_]+):/.exec(message)?.[1] ?? String(code);
  const reason = details ? `gRPC ${name}: ${details}` : `gRPC ${name}`;
  const [status] = metadata?.get('grpc-status-details-bin') ?? [];
  const waitMs = status instanceof Buffer ? retryDelayMs(status) : undefined;
  const retryable = RETRYABLE.includes(name) || (name === 'RESOURCE_EXHAUSTED' && waitMs !== undefined);
  return { accepted: false, reason, retryable, waitMs };
}

/**
 * Returns the retry delay of a google.rpc.Status in milliseconds; undefined if it has no RetryInfo. Searches the bytes,
 * because the SDK can't decode these messages (googleapis, google/rpc/error_details.proto).
 */
export function retryDelayMs(status: Buffer): number | undefined {
  const text = status.toString('latin1');
  // Matches Any.value and RetryInfo.retry_delay with their lengths, then Duration.seconds and .nanos as varints.
  const delay =
    /\/google\.rpc\.RetryInfo\x12.\n.(?:\x08([\x80-\xff]*[^\x80-\xff]))?(?:\x10([\x80-\xff]*[^\x80-\xff]))?/s;
  const [match, seconds, nanos] = delay.exec(text) ?? [];
  if (match === undefined) return undefined;
  const ms = varint(seconds) * 1000 + varint(nanos) / 1e6;
  return ms <= Number.MAX_SAFE_INTEGER ? ms : undefined;
}

function varint(bytes = ''): number {
  return Buffer.from(bytes, 'latin1').reduceRight((value, byte) => value * 128 + (byte & 127), 0);
}
