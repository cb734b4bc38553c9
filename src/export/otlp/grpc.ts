/**
 * OTLP over gRPC with otlp-grpc-exporter-base 0.301, which uses grpc-js. Its delegate never retries and does not read how
 * long the backend asks us to wait, so we do both here (opentelemetry.io/docs/specs/otlp, OTLP/gRPC). If the other side
 * never responds, grpc-js 1.14 keeps a connection forever, even after the client is closed. So we find a delegate's
 * sockets through one of Node's diagnostics channels, and close them with it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { ExportResultCode } from '@opentelemetry/core';
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base';
import {
  createEmptyMetadata,
  createInsecureCredentials,
  createOtlpGrpcExportDelegate,
  createSslCredentials,
} from '@opentelemetry/otlp-grpc-exporter-base';
import type { ISerializer } from '@opentelemetry/otlp-transformer';
import { UsageError } from '../../model/errors.ts';
import type { Connection, ConnectionOptions, Refusal, Signal } from './connection.ts';
import { retryDelayMs } from './status.ts';

/** Temporary failures (specs/otlp, OTLP/gRPC throttling). RESOURCE_EXHAUSTED counts only if it says how long to wait. */
const RETRYABLE = ['CANCELLED', 'DEADLINE_EXCEEDED', 'ABORTED', 'OUT_OF_RANGE', 'UNAVAILABLE', 'DATA_LOSS'];

/** Sockets of a client. Once the client has ended, sockets that it opens late are closed too. */
interface Sockets {
  open: Set<Socket>;
  isEnded: boolean;
}

/** Sockets of the client whose code is running. */
const socketsNow = new AsyncLocalStorage<Sockets>();
subscribe('net.client.socket', (message) => {
  const sockets = socketsNow.getStore();
  if (sockets === undefined) return;
  const { socket } = message as { socket: Socket };
  sockets.open.add(socket);
  socket.once('close', () => sockets.open.delete(socket));
  if (sockets.isEnded) process.nextTick(() => socket.destroy());
});

/** Number of clients so far. */
let clients = 0;

export function grpcConnection<Request, Response>(
  { helper, method }: Signal<Request, Response>,
  serializer: ISerializer<Request, Response>,
  { target, tls, userAgent }: ConnectionOptions,
): Connection<Request> {
  const { protocol, hostname, port } = new URL(target.url);
  const isTls = protocol === 'https:';
  const metadata = metadataOf(target.headers);
  const sockets: Sockets = { open: new Set(), isEnded: false };
  const delegate = createOtlpGrpcExportDelegate(
    {
      url: `${hostname}:${port || (isTls ? 443 : 80)}`,
      metadata: () => metadata,
      credentials: () =>
        isTls ? createSslCredentials(tls.ca, tls.key, tls.cert) : createInsecureCredentials(),
      compression: target.compression === 'gzip' ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE,
      // The caller makes one attempt at a time, but a delegate counts an attempt until after its callback.
      concurrencyLimit: 10,
      timeoutMillis: target.timeoutMs,
      // Clients with the same name share connections, and grpc-js' delay before it reconnects.
      userAgent: `${userAgent} (${++clients})`,
    },
    serializer,
    'otlp_grpc_exporter',
    helper,
    undefined,
    'Export',
    method,
  );
  return {
    send: (request, _timeoutMs, done) =>
      socketsNow.run(sockets, () =>
        delegate.export(request, ({ code, error }) =>
          done(code === ExportResultCode.SUCCESS ? undefined : grpcRefusal(error)),
        ),
      ),
    cut: () => {
      void delegate.shutdown();
      sockets.isEnded = true;
      for (const socket of sockets.open) socket.destroy();
    },
  };
}

function grpcRefusal(error: Error | undefined): Refusal {
  if (error === undefined || !('code' in error))
    return { reason: error?.message ?? 'no answer', retryable: true };
  const { code, details, metadata } = error as Error & {
    code: unknown;
    details?: string;
    metadata?: ReturnType<typeof createEmptyMetadata>;
  };
  // Such as "14 UNAVAILABLE: details".
  const name = /^\d+ ([A-Z_]+):/.exec(error.message)?.[1] ?? String(code);
  const [status] = metadata?.get('grpc-status-details-bin') ?? [];
  const waitMs = status instanceof Buffer ? retryDelayMs(status) : undefined;
  return {
    reason: details ? `gRPC ${name}: ${details}` : `gRPC ${name}`,
    retryable: RETRYABLE.includes(name) || (name === 'RESOURCE_EXHAUSTED' && waitMs !== undefined),
    waitMs,
  };
}

/** HTTP allows characters in headers that gRPC does not. */
function metadataOf(headers: Readonly<Record<string, string>>): ReturnType<typeof createEmptyMetadata> {
  const metadata = createEmptyMetadata();
  for (const [name, value] of Object.entries(headers)) {
    try {
      metadata.set(name, value);
    } catch {
      throw new UsageError(`otlp.headers: ${JSON.stringify(name)}: gRPC can't send this name or its value`);
    }
  }
  return metadata;
}
