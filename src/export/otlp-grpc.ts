/**
 * OTLP over gRPC (opentelemetry.io/docs/specs/otlp, OTLP/gRPC): one unary call an attempt, on HTTP/2 as
 * github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md has it. grpc-js, the library for it, never ends a connection
 * whose other side is silent from the start: a hung backend would cost one an attempt.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { UsageError } from '../model/errors.ts';
import type { OtlpTarget } from '../model/otlp.ts';
import { type Attempt, noAnswer, type Transport } from './otlp-send.ts';
import { retryDelayMs } from './otlp-status.ts';
import type { TlsFiles } from './otlp-tls.ts';

const compress = promisify(gzip);

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
/** Those that may pass (specs/otlp, OTLP/gRPC throttling); RESOURCE_EXHAUSTED only where it says for how long. */
const RETRYABLE = ['CANCELLED', 'DEADLINE_EXCEEDED', 'ABORTED', 'OUT_OF_RANGE', 'UNAVAILABLE', 'DATA_LOSS'];
/** Of proxies in between, which know no gRPC (doc/http-grpc-status-mapping.md). */
const PASSING_HTTP = [429, 502, 503, 504];

/** A message's flag and length. */
const PREFIX_BYTES = 5;
const LARGEST_ANSWER_BYTES = 1 << 20;
/** Connections on which nothing has come or gone for so long are ended. */
const IDLE_MS = 150_000;

export interface GrpcOptions {
  target: OtlpTarget;
  tls: TlsFiles;
  userAgent: string;
  /** As in `/opentelemetry.proto.collector.metrics.v1.MetricsService/Export`. */
  method: string;
}

export function createGrpcTransport({ target, tls, userAgent, method }: GrpcOptions): Transport {
  const isCompressed = target.compression === 'gzip';
  const headers = {
    'user-agent': userAgent,
    ...metadataOf(target.headers),
    ':method': 'POST',
    ':path': method,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(isCompressed ? { 'grpc-encoding': 'gzip' } : {}),
  };
  let session: ClientHttp2Session | undefined;

  /** The connection there is, or another one; errors of it come to those who wait for an answer. */
  const sessionNow = (): ClientHttp2Session => {
    if (tls.changed()) session?.destroy();
    if (session === undefined || session.closed || session.destroyed) {
      const made = connect(target.url, { ...tls.now() });
      made.on('error', () => {}).setTimeout(IDLE_MS, () => made.destroy());
      // What is under way may end, and the next call gets another connection.
      made.on('goaway', () => made.close());
      session = made;
    }
    return session;
  };

  return {
    attempt: async (body, timeoutMs, signal) => {
      const message = isCompressed ? await compress(body) : body;
      let isLate = false;
      // Whoever is late may be dead without a word: the next attempt gets another connection.
      const end = () => session?.destroy();
      const timer = setTimeout(() => {
        isLate = true;
        end();
      }, timeoutMs);
      signal.addEventListener('abort', end);
      try {
        const stream = await openCall(sessionNow(), headers, timeoutMs);
        stream.end(Buffer.concat([prefixOf(message, isCompressed), message]));
        const answer = await answerOf(stream);
        if (isLate) throw new Error('cut off');
        return attemptOf(answer);
      } catch (error) {
        const reason = isLate ? noAnswer(timeoutMs) : error instanceof Error ? error.message : String(error);
        return { taken: false, reason, retryable: true };
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
      }
    },
    close: () => session?.destroy(),
  };
}

/** A call on a connection that is up. Rejects with what befell the connection, which the call itself does not know. */
function openCall(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  timeoutMs: number,
): Promise<ClientHttp2Stream> {
  return new Promise((resolve, reject) => {
    const open = () => {
      session.off('error', reject).off('close', onClose);
      try {
        resolve(session.request({ ...headers, 'grpc-timeout': `${Math.ceil(timeoutMs)}m` }));
      } catch (error) {
        reject(error);
      }
    };
    const onClose = () => reject(new Error('the connection was ended'));
    session.once('error', reject).once('close', onClose);
    if (session.connecting) session.once('connect', open);
    else open();
  });
}

interface Answer {
  headers: IncomingHttpHeaders;
  /** Empty where the answer is its headers alone. */
  trailers: IncomingHttpHeaders;
  content: Buffer;
}

/** The whole answer. Rejects when there comes none, or too much. */
function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const answer: Answer = { headers: {}, trailers: {}, content: Buffer.alloc(0) };
    const chunks: Buffer[] = [];
    let length = 0;
    stream.on('response', (headers) => {
      answer.headers = headers;
    });
    stream.on('trailers', (trailers) => {
      answer.trailers = trailers;
    });
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= LARGEST_ANSWER_BYTES) return;
      stream.close(constants.NGHTTP2_CANCEL);
      reject(new Error(`an answer of more than ${LARGEST_ANSWER_BYTES} bytes`));
    });
    stream.on('error', reject);
    stream.on('close', () => {
      if (answer.headers[':status'] === undefined)
        reject(new Error('the connection was ended without an answer'));
      answer.content = Buffer.concat(chunks);
      resolve(answer);
    });
  });
}

function attemptOf({ headers, trailers, content }: Answer): Attempt {
  const told = trailers['grpc-status'] === undefined ? headers : trailers;
  const code = told['grpc-status'];
  if (code === undefined) {
    const status = Number(headers[':status']);
    const reason = status === 200 ? 'an answer that is none of gRPC' : `HTTP ${status}`;
    // A stream that ends early has no status either.
    return { taken: false, reason, retryable: status === 200 || PASSING_HTTP.includes(status) };
  }
  const name = CODES[Number(code)] ?? String(code);
  if (name === 'OK') return { taken: true, response: content.subarray(PREFIX_BYTES) };
  const details = told['grpc-status-details-bin'];
  const waitMs = details === undefined ? undefined : retryDelayMs(Buffer.from(String(details), 'base64'));
  const retryable = RETRYABLE.includes(name) || (name === 'RESOURCE_EXHAUSTED' && waitMs !== undefined);
  const said = unescaped(String(told['grpc-message'] ?? ''));
  return {
    taken: false,
    reason: `gRPC ${name}${said === '' ? '' : `: ${said}`}`,
    retryable,
    ...(waitMs === undefined ? {} : { waitMs }),
  };
}

function prefixOf(message: Uint8Array, isCompressed: boolean): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix[0] = isCompressed ? 1 : 0;
  prefix.writeUInt32BE(message.length, 1);
  return prefix;
}

/** Percent-encoded, though perhaps badly. */
function unescaped(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

/** What HTTP takes for a header is not always one of gRPC's. */
function metadataOf(headers: Readonly<Record<string, string>>): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[0-9A-Za-z_.-]+$/.test(name) || !/^[\x20-\x7e]*$/.test(value)) {
      throw new UsageError(
        `otlp.headers: ${JSON.stringify(name)}: the name or its value cannot be sent by gRPC`,
      );
    }
    metadata[name.toLowerCase()] = value;
  }
  return metadata;
}
