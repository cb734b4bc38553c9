/**
 * OTLP over HTTP with otlp-exporter-base 0.301. After a temporary failure, its delegate retries within the time of one
 * attempt, and reports neither its status nor `Retry-After`. So we watch its requests through one of Node's diagnostics
 * channels, and make it treat every failure as final.
 */
import { subscribe } from 'node:diagnostics_channel';
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { CompressionAlgorithm, OTLPExporterError } from '@opentelemetry/otlp-exporter-base';
import { createOtlpHttpExportDelegate } from '@opentelemetry/otlp-exporter-base/node-http';
import type { Connection, ConnectionOptions, Fate } from './connection.ts';

/** Temporary failures (opentelemetry.io/docs/specs/otlp, retryable response codes). */
const RETRYABLE: readonly (number | undefined)[] = [429, 502, 503, 504];
const MAX_REASON_CHARS = 200;
/** The delegate reads up to 4 MiB; an answer has less than 1 KiB. */
const MAX_ANSWER_BYTES = 65_536;

/** The answer to an agent's last request, with its real status. */
interface Answer {
  response?: IncomingMessage | undefined;
  status?: number | undefined;
}

const answers = new WeakMap<object, Answer>();
subscribe('http.client.request.created', (message) => {
  const { request } = message as { request: ClientRequest & { agent?: object } };
  const answer = answers.get(request.agent ?? request);
  if (answer === undefined) return;
  answer.response = undefined;
  request.once('response', (response) => {
    answer.response = response;
    answer.status = response.statusCode;
    if (RETRYABLE.includes(answer.status)) response.statusCode = 500;
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_ANSWER_BYTES) return;
      response.statusCode = 500;
      response.destroy(new Error('the response is too large'));
    });
  });
  request.once('error', (error: NodeJS.ErrnoException) => {
    delete error.code;
  });
});

export function httpConnection<Request, Response>(
  options: ConnectionOptions<Request, Response>,
): Connection<Request> {
  const { signal, serializer, target, tls, userAgent } = options;
  const { url, protocol, headers, timeoutMs: timeoutMillis } = target;
  const agent = new (url.startsWith('https:') ? HttpsAgent : HttpAgent)({ keepAlive: true, ...tls });
  const contentType = protocol === 'http/json' ? 'application/json' : 'application/x-protobuf';
  const ownUserAgent = Object.entries(headers).find(([name]) => name.toLowerCase() === 'user-agent');
  const answer: Answer = {};
  answers.set(agent, answer);
  const delegate = createOtlpHttpExportDelegate(
    {
      url,
      headers: async () => ({ ...headers, 'Content-Type': contentType }),
      compression: target.compression === 'gzip' ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE,
      // The caller makes one attempt at a time, but a delegate counts an attempt until after its callback.
      concurrencyLimit: 10,
      timeoutMillis,
      agentFactory: () => agent,
      // The SDK appends its own name to this one.
      userAgent: ownUserAgent?.[1] ?? userAgent,
    },
    serializer,
    'otlp_http_exporter',
    signal.helper,
    undefined,
  );
  return { delegate, refusalOf: (error) => refusalOf(answer, error), cut: () => agent.destroy() };
}

function refusalOf({ response, status = 0 }: Answer, error: Error | undefined): Fate {
  if (response === undefined || status < 300)
    return { accepted: false, reason: whatWentWrong(error), retryable: true };
  const line = `HTTP ${status} ${response.statusMessage}`.trim();
  const words = error instanceof OTLPExporterError ? wordsOf(error.data ?? '') : '';
  const reason = words === '' ? line : `${line}: ${words}`;
  if (!RETRYABLE.includes(status)) return { accepted: false, reason };
  const waitMs = retryAfterMs(response.headers['retry-after'], Date.now());
  return { accepted: false, reason, retryable: true, waitMs };
}

/** If a host name has several addresses, the error itself has no message. */
function whatWentWrong(error: Error | undefined): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(whatWentWrong).join('; ');
  return error?.message ?? 'no answer';
}

/** The backend's own message: a google.rpc.Status or text. '' for an HTML page. */
function wordsOf(body: string): string {
  if (body.startsWith('<')) return '';
  const text = body.replace(/^(\x08.)?\x12./s, '');
  const line = text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return line.length > MAX_REASON_CHARS ? `${line.slice(0, MAX_REASON_CHARS)}…` : line;
}

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3) → milliseconds from now; undefined if it is neither. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
