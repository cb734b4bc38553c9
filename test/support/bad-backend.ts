/** An OTLP backend over TLS that accepts HTTP/1 and gRPC on one port and fails in the ways that real backends fail. */
import { once } from 'node:events';
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeOtlp } from './otlp.ts';
import { decodeSpans, tracePartialSuccess } from './otlp-traces.ts';
import { identity } from './tls.ts';

export const STATES = [
  'well',
  'silent',
  '503',
  'gone',
  '429',
  'reset',
  'byte per second',
  'huge answer',
  'goaway',
  'wrong TLS',
  'partial success',
] as const;
export type State = (typeof STATES)[number];

export interface BadBackend {
  url: string;
  /** Number of requests that arrived, in any state. */
  requests(): number;
  /** Number of spans that the backend accepted. A span that arrives twice counts once. */
  acceptedSpans(): number;
  become(state: State): Promise<void>;
  close(): Promise<void>;
}

const RETRY_SECONDS = 2;
const MIB = 1 << 20;
const GRPC = { 'content-type': 'application/grpc' };

export async function startBadBackend(): Promise<BadBackend> {
  let state: State = 'well';
  let requests = 0;
  /** In the state `goaway`, every second request of traces is answered before GOAWAY; the others get only GOAWAY. */
  let goaways = 0;
  const accepted = new Set<string>();
  const sockets = new Set<Socket>();
  const server = createSecureServer({ ...identity('server'), allowHTTP1: true });
  server.on('secureConnection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
  });
  // Ignore errors of connections that this backend or the agent ends.
  for (const event of ['tlsClientError', 'sessionError', 'clientError']) server.on(event, () => {});
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };

  const answer = (request: Http2ServerRequest, response: Http2ServerResponse, body: Buffer): void => {
    const isTraces = /trace/i.test(request.url);
    const isGrpc = request.headers['content-type'] === GRPC['content-type'];
    const accept = (message: Buffer): void => {
      const spans = isTraces && message.length === 0 ? decodeSpans(body.subarray(isGrpc ? 5 : 0)).spans : [];
      response.on('finish', () => {
        for (const { spanId } of spans) accepted.add(spanId);
      });
      if (!isGrpc) {
        const close = state === 'goaway' ? { connection: 'close' } : {};
        response.writeHead(200, { 'content-type': 'application/x-protobuf', ...close });
        response.end(message);
        return;
      }
      response.writeHead(200, GRPC);
      response.addTrailers({ 'grpc-status': '0' });
      response.end(Buffer.concat([frameHeader(message.length), message]));
    };
    const refuse = (status: number, headers: Record<string, string>, code: number): void => {
      const { details = '', ...more } = headers;
      if (!isGrpc) response.writeHead(status, more);
      else
        response.writeHead(200, { ...GRPC, 'grpc-status': String(code), 'grpc-status-details-bin': details });
      response.end();
    };
    switch (state) {
      case 'well':
        accept(Buffer.alloc(0));
        break;
      case '503':
        refuse(503, {}, 14);
        break;
      case '429':
        refuse(429, { 'retry-after': String(RETRY_SECONDS), details: retryInfo() }, 8);
        break;
      case 'partial success':
        accept(isTraces ? tracePartialSuccess(1, 'one is too old') : Buffer.alloc(0));
        break;
      case 'reset':
        cut();
        break;
      case 'byte per second': {
        response.writeHead(200, isGrpc ? GRPC : {});
        const timer = setInterval(() => response.write('\0'), 1000);
        response.on('close', () => clearInterval(timer));
        break;
      }
      case 'huge answer':
        response.writeHead(200, isGrpc ? GRPC : {});
        if (isGrpc) response.write(frameHeader(1024 * MIB));
        pour(response);
        break;
      case 'goaway': {
        const isAnswered = !isTraces || ++goaways % 2 === 0;
        if (isAnswered) accept(Buffer.alloc(0));
        if (isGrpc)
          (request.stream.session as ServerHttp2Session).goaway(0, isAnswered ? request.stream.id : 0);
        else if (!isAnswered) cut();
        break;
      }
      default:
      // In the other states, the backend does not answer. A request can still arrive just before the state changes.
    }
  };
  server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
    response.on('error', () => {});
    request.on('end', () => {
      requests++;
      answer(request, response, Buffer.concat(chunks));
    });
  });
  const listen = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  };
  const port = await listen(0);
  return {
    url: `https://127.0.0.1:${port}`,
    requests: () => requests,
    acceptedSpans: () => accepted.size,
    become: async (next) => {
      state = next;
      if (next === 'gone') return close();
      server.setSecureContext(identity(next === 'wrong TLS' ? 'stranger' : 'server'));
      if (next === 'wrong TLS') cut();
      if (!server.listening) await listen(port);
    },
    close: async () => {
      await close();
      await sleep(0);
    },
  };
}

/** Writes until the client closes the connection. */
function pour(response: Http2ServerResponse): void {
  const chunk = Buffer.alloc(MIB);
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', more);
  more();
}

/** The header of a gRPC message that is not compressed. */
function frameHeader(length: number): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(length, 1);
  return header;
}

/** Value of `grpc-status-details-bin` that asks the client to retry after `RETRY_SECONDS`. */
function retryInfo(): string {
  const value = encodeOtlp('RetryInfo', { retryDelay: { seconds: RETRY_SECONDS } });
  const details = [{ typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value }];
  return encodeOtlp('Status', { code: 8, details }).toString('base64');
}
