/**
 * OTLP over HTTP with otlp-exporter-base 0.301. The library's export delegate retries by itself and does not report the
 * status or `Retry-After`. We read both through a diagnostics channel, and leave no time for a retry.
 */
import { subscribe } from 'node:diagnostics_channel';
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { OTLPExporterError } from '@opentelemetry/otlp-exporter-base';
import { createOtlpHttpExportDelegate } from '@opentelemetry/otlp-exporter-base/node-http';
import type { Connection, ConnectionOptions, Fate } from './connection.ts';

/** Temporary failures (opentelemetry.io/docs/specs/otlp, retryable response codes). */
const RETRYABLE: readonly (number | undefined)[] = [429, 502, 503, 504];
const MAX_REASON_CHARS = 200;
/** Maximum size of a response. A valid response has less than 1 KiB, but the delegate would read up to 4 MiB. */
const MAX_ANSWER_BYTES = 65_536;

/** The latest response of a Node `http.Agent`. `status` is the original status: we overwrite `statusCode`. */
interface HttpAnswer {
  response?: IncomingMessage | undefined;
  status?: number | undefined;
}

const answers = new WeakMap<object, HttpAnswer>();
subscribe('http.client.request.created', (message) => {
  const { request } = message as { request: ClientRequest & { agent: object } };
  const answer = answers.get(request.agent);
  if (answer === undefined) return;
  answer.response = undefined;
  request.once('response', (response) => {
    answer.response = response;
    answer.status = response.statusCode;
    // The delegate reports the response body only for final failures, so turn a retryable failure into a 500.
    if (RETRYABLE.includes(answer.status)) response.statusCode = 500;
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_ANSWER_BYTES) return;
      response.statusCode = 500;
      response.destroy(new Error('the response is too large'));
    });
  });
});

export function httpConnection<Request>(options: ConnectionOptions<Request>): Connection<Request> {
  const { signal, serializer, target, shared, tls } = options;
  const { url, protocol, headers } = target;
  const agent = new (url.startsWith('https:') ? HttpsAgent : HttpAgent)({ keepAlive: true, ...tls });
  const contentType = protocol === 'http/json' ? 'application/json' : 'application/x-protobuf';
  const ownUserAgent = Object.entries(headers).find(([name]) => name.toLowerCase() === 'user-agent');
  const answer: HttpAnswer = {};
  answers.set(agent, answer);
  const delegate = createOtlpHttpExportDelegate(
    {
      ...shared,
      url,
      headers: async () => ({ ...headers, 'Content-Type': contentType }),
      // 0 disables the delegate's retries and its limit for idle sockets. The caller limits the time of the attempt.
      timeoutMillis: 0,
      agentFactory: () => agent,
      // The SDK appends its own name to this user agent.
      userAgent: ownUserAgent?.[1] ?? shared.userAgent,
    },
    serializer,
    'otlp_http_exporter',
    signal.helper,
    undefined,
  );
  return {
    send: (request, done) => delegate.export(request, done),
    refusalOf: (error) => refusalOf(answer, error),
    cut: () => agent.destroy(),
  };
}

function refusalOf({ response, status = 0 }: HttpAnswer, error: Error | undefined): Fate {
  if (response === undefined || status < 300)
    return { accepted: false, reason: whatWentWrong(error), retryable: true };
  const line = `HTTP ${status} ${response.statusMessage}`.trim();
  const words = error instanceof OTLPExporterError ? wordsOf(error.data ?? '') : '';
  const reason = words === '' ? line : `${line}: ${words}`;
  if (!RETRYABLE.includes(status)) return { accepted: false, reason };
  const waitMs = retryAfterMs(response.headers['retry-after'], Date.now());
  return { accepted: false, reason, retryable: true, waitMs };
}

/** If all addresses of a host name fail, Node throws an AggregateError without a message. */
function whatWentWrong(error: Error | undefined): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(whatWentWrong).join('; ');
  return error?.message ?? 'no response';
}

/** Returns the backend's own message from a google.rpc.Status or plain text, or '' for an HTML page. */
function wordsOf(body: string): string {
  if (body.startsWith('<')) return '';
  const text = body.replace(/^(\x08.)?\x12./s, '');
  const line = text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return line.length > MAX_REASON_CHARS ? `${line.slice(0, MAX_REASON_CHARS)}…` : line;
}

/** Returns the wait of a `Retry-After` header (RFC 9110, 10.2.3) in milliseconds; undefined if absent or invalid. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
