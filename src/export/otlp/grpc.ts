/**
 * OTLP over gRPC with otlp-grpc-exporter-base 0.301, which uses grpc-js. Its delegate never retries and does not read how
 * long the backend asks us to wait, so we do both here (opentelemetry.io/docs/specs/otlp, OTLP/gRPC). If the other side
 * never responds, grpc-js 1.14 keeps a connection forever, even after the client is closed. So we find a delegate's
 * sockets through one of Node's diagnostics channels, and close them with it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base';
import {
  createEmptyMetadata,
  createInsecureCredentials,
  createOtlpGrpcExportDelegate,
  createSslCredentials,
} from '@opentelemetry/otlp-grpc-exporter-base';
import type { ISerializer } from '@opentelemetry/otlp-transformer';
import { UsageError } from '../../model/errors.ts';
import type { Connection, ConnectionOptions, Delegate, Refusal, Signal } from './connection.ts';
import { retryDelayMs } from './status.ts';

/** github.com/grpc/grpc/blob/master/doc/statuscodes.md */
const CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];
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

/** After these codes, a new client tries at once; grpc-js would wait up to two minutes before it reconnects. */
const NO_CONNECTION = ['DEADLINE_EXCEEDED', 'UNAVAILABLE'];

export function grpcConnection<Request, Response>(
  { helper, method }: Signal<Request, Response>,
  serializer: ISerializer<Request, Response>,
  { target, tls, userAgent }: ConnectionOptions,
): Connection<Request> {
  const { protocol, hostname, port } = new URL(target.url);
  const isTls = protocol === 'https:';
  const metadata = metadataOf(target.headers);
  let client: { delegate: Delegate<Request>; sockets: Sockets } | undefined;
  const cut = (): void => {
    if (client === undefined) return;
    const { delegate, sockets } = client;
    client = undefined;
    void delegate.shutdown();
    sockets.isEnded = true;
    for (const socket of sockets.open) socket.destroy();
  };
  const open = (): Delegate<Request> =>
    createOtlpGrpcExportDelegate(
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
    delegate: () => {
      client ??= { delegate: open(), sockets: { open: new Set(), isEnded: false } };
      const { delegate, sockets } = client;
      return {
        export: (request, done) =>
          socketsNow.run(sockets, () =>
            delegate.export(request, (result) => {
              if (NO_CONNECTION.includes(codeOf(result.error))) cut();
              done(result);
            }),
          ),
        shutdown: () => delegate.shutdown(),
      };
    },
    cut,
    // A gRPC delegate makes one request per attempt and reports its failure itself.
    watch: () => () => {},
    refusal: grpcRefusal,
  };
}

/** Name of a gRPC status; '' for another error. */
function codeOf(error: Error | undefined): string {
  if (error === undefined || !('code' in error)) return '';
  return CODES[Number(error.code)] ?? String(error.code);
}

function grpcRefusal(error: Error | undefined): Refusal {
  const name = codeOf(error);
  if (error === undefined || name === '') return { reason: error?.message ?? 'no answer', retryable: true };
  const { details, metadata } = error as Error & {
    details?: string;
    metadata?: ReturnType<typeof createEmptyMetadata>;
  };
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
