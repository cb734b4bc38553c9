/**
 * A small OTLP backend in this process, over HTTP or gRPC, with or without TLS. It can fail as real backends do.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { Server as GrpcServer, Metadata, ServerCredentials } from '@grpc/grpc-js';
import { decodePushed, encodeOtlp, type Pushed } from './otlp.ts';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** Length of the body on the wire, where it may be compressed. */
  wireBytes: number;
  /** Decodes the body as metrics. */
  pushed(): Pushed;
  atMs: number;
}

export type HttpAnswer =
  | { status: number; headers?: Record<string, string>; body?: string | Uint8Array }
  /** Never answers. */
  | 'hang'
  /** Sends one byte every 50 ms, and never ends. */
  | 'drip'
  /** Ends the connection without an answer. */
  | 'reset';

export interface Receiver<Answer> {
  url: string;
  port: number;
  /** All requests, including refused ones. */
  received: Received[];
  /** The answer to requests from now on. A function gets the index of the request. */
  answer: Answer | ((n: number) => Answer);
  /** Waits for the request with this index. */
  request(index: number): Promise<Received>;
  /** Number of open connections. */
  connections(): number;
  close(): Promise<void>;
}

export interface ReceiverOptions {
  port?: number;
  tls?: { cert: string; key: string; ca?: string; requestCert?: boolean };
}

const OK: HttpAnswer = { status: 200 };

export async function startHttpReceiver(options: ReceiverOptions = {}): Promise<Receiver<HttpAnswer>> {
  const sockets = new Set<Socket>();
  const { waitFor, take, received } = inbox();
  const receiver: Receiver<HttpAnswer> = {
    url: '',
    port: 0,
    received,
    answer: OK,
    request: waitFor,
    connections: () => sockets.size,
    close: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
  const onRequest = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      // The client gave up.
      return;
    }
    const { headers, url = '' } = request;
    const raw = Buffer.concat(chunks);
    const body = headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const encoding = headers['content-type'] === 'application/json' ? 'json' : 'protobuf';
    const pushed = () => decodePushed(body, encoding);
    take({ path: url, headers, body, wireBytes: raw.length, pushed, atMs: performance.now() });
    const answer =
      typeof receiver.answer === 'function' ? receiver.answer(received.length - 1) : receiver.answer;
    if (answer === 'hang') return;
    if (answer === 'reset') {
      request.socket.destroy();
    } else if (answer === 'drip') {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'), 50);
      response.on('close', () => clearInterval(timer));
    } else {
      response.writeHead(answer.status, answer.headers).end(answer.body);
    }
  };
  const server: Server = options.tls
    ? createTlsServer({ ...options.tls, rejectUnauthorized: true }, onRequest)
    : createServer(onRequest);
  server.on(options.tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  receiver.port = (server.address() as AddressInfo).port;
  receiver.url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${receiver.port}`;
  return receiver;
}

export type GrpcAnswer =
  | { code: number; message: string; retryDelaySeconds?: number }
  | { rejected: number; message: string }
  | 'ok'
  | 'hang';

const GRPC_PATHS = [
  '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
];
const GRPC_METHOD = {
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
} as const;

export async function startGrpcReceiver(options: ReceiverOptions = {}): Promise<Receiver<GrpcAnswer>> {
  const { waitFor, take, received } = inbox();
  const server = new GrpcServer();
  const receiver: Receiver<GrpcAnswer> = {
    url: '',
    port: 0,
    received,
    answer: 'ok',
    request: waitFor,
    connections: () => Number.NaN,
    close: async () => server.forceShutdown(),
  };
  const answering = (path: string) => ({
    Export: (
      call: { request: Buffer; metadata: Metadata },
      done: (error: object | null, answer?: Buffer) => void,
    ) => {
      const body = call.request;
      const headers = call.metadata.getMap() as IncomingHttpHeaders;
      take({
        path,
        headers,
        body,
        wireBytes: body.length,
        pushed: () => decodePushed(body, 'protobuf'),
        atMs: performance.now(),
      });
      const answer =
        typeof receiver.answer === 'function' ? receiver.answer(received.length - 1) : receiver.answer;
      if (answer === 'hang') return;
      if (answer === 'ok') done(null, Buffer.alloc(0));
      else if ('rejected' in answer) done(null, partialSuccess(answer.rejected, answer.message));
      else done(grpcError(answer));
    },
  });
  for (const path of GRPC_PATHS) server.addService({ Export: { ...GRPC_METHOD, path } }, answering(path));
  const { tls } = options;
  const credentials = tls
    ? ServerCredentials.createSsl(
        tls.ca === undefined ? null : Buffer.from(tls.ca),
        [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }],
        tls.requestCert === true,
      )
    : ServerCredentials.createInsecure();
  receiver.port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${options.port ?? 0}`, credentials, (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  );
  receiver.url = `${tls ? 'https' : 'http'}://127.0.0.1:${receiver.port}`;
  return receiver;
}

function grpcError(answer: { code: number; message: string; retryDelaySeconds?: number }): object {
  const { code, message, retryDelaySeconds } = answer;
  if (retryDelaySeconds === undefined) return { code, details: message };
  const seconds = Math.floor(retryDelaySeconds);
  const retryDelay = { seconds, nanos: Math.round((retryDelaySeconds - seconds) * 1e9) };
  const details = [
    { typeUrl: 'type.googleapis.com/google.rpc.DebugInfo', value: Buffer.from('x') },
    { typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value: encodeOtlp('RetryInfo', { retryDelay }) },
  ];
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', encodeOtlp('Status', { code, message, details }));
  return { code, details: message, metadata };
}

/** Encodes the response of a backend that rejected some data points. */
export function partialSuccess(rejectedDataPoints: number, errorMessage: string): Buffer {
  return encodeOtlp('ExportMetricsServiceResponse', { partialSuccess: { rejectedDataPoints, errorMessage } });
}

function inbox() {
  const received: Received[] = [];
  const waiting: { index: number; resolve(request: Received): void }[] = [];
  return {
    received,
    take: (request: Received) => {
      received.push(request);
      for (const { index, resolve } of waiting) if (index === received.length - 1) resolve(request);
    },
    waitFor: (index: number): Promise<Received> =>
      received.length > index
        ? Promise.resolve(received[index])
        : new Promise((resolve) => waiting.push({ index, resolve })),
  };
}
