/**
 * OTLP over HTTP with otlp-exporter-base 0.301. Its delegate does not report the status and `Retry-After` of a temporary
 * failure, so we read both from Node's diagnostics channels.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { CompressionAlgorithm, OTLPExporterError } from '@opentelemetry/otlp-exporter-base';
import { createOtlpHttpExportDelegate } from '@opentelemetry/otlp-exporter-base/node-http';
import type { ISerializer } from '@opentelemetry/otlp-transformer';
import type { Connection, ConnectionOptions, Signal } from './connection.ts';
import { statusMessage } from './status.ts';

/** Temporary failures (opentelemetry.io/docs/specs/otlp, retryable response codes). */
const RETRYABLE: readonly number[] = [429, 502, 503, 504];
const MAX_REASON_CHARS = 200;

export function httpConnection<Request, Response>(
  { helper }: Signal<Request, Response>,
  serializer: ISerializer<Request, Response>,
  { target, tls, userAgent }: ConnectionOptions,
): Connection<Request> {
  const isTls = target.url.startsWith('https:');
  const agent = isTls ? new HttpsAgent({ keepAlive: true, ...tls }) : new HttpAgent({ keepAlive: true });
  const contentType = target.protocol === 'http/json' ? 'application/json' : 'application/x-protobuf';
  let response: IncomingMessage | undefined;
  let failure: Error | undefined;
  return {
    // The delegate retries within its time. With one delegate per attempt, that ends with the attempt.
    delegate: (timeoutMillis) =>
      createOtlpHttpExportDelegate(
        {
          url: target.url,
          headers: async () => ({ ...target.headers, 'Content-Type': contentType }),
          compression: target.compression === 'gzip' ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE,
          concurrencyLimit: 1,
          timeoutMillis,
          agentFactory: () => agent,
          // Their name is appended, whatever ours is.
          userAgent: userAgentOf(target.headers) ?? userAgent,
        },
        serializer,
        'otlp_http_exporter',
        helper,
        undefined,
      ),
    cut: () => {
      agent.destroy();
      // The delegate of an abandoned attempt would still retry.
      agent.createConnection = () => {
        throw new Error('this attempt was abandoned');
      };
    },
    watch: (onFailure) => {
      response = undefined;
      failure = undefined;
      const isOurs = (request: ClientRequest): boolean => 'agent' in request && request.agent === agent;
      const onResponse = (message: unknown): void => {
        const seen = message as { request: ClientRequest; response: IncomingMessage };
        if (!isOurs(seen.request)) return;
        response = seen.response;
        failure = undefined;
        if ((response.statusCode ?? 0) > 299) onFailure();
      };
      const onError = (message: unknown): void => {
        const seen = message as { request: ClientRequest; error: Error };
        if (!isOurs(seen.request)) return;
        response = undefined;
        failure = seen.error;
        onFailure();
      };
      subscribe('http.client.response.finish', onResponse);
      subscribe('http.client.request.error', onError);
      return () => {
        unsubscribe('http.client.response.finish', onResponse);
        unsubscribe('http.client.request.error', onError);
      };
    },
    refusal: (error) => {
      const status = response?.statusCode ?? 0;
      // No response, or an incomplete one.
      if (response === undefined || status <= 299)
        return { reason: whatWentWrong(error ?? failure), retryable: true };
      const retryable = RETRYABLE.includes(status);
      const data = error instanceof OTLPExporterError ? (error.data ?? '') : '';
      const words = oneLine(wordsOf(response.headers['content-type'] ?? '', data));
      const line = `HTTP ${status} ${response.statusMessage ?? ''}`.trim();
      return {
        reason: words === '' ? line : `${line}: ${words}`,
        retryable,
        waitMs: retryable ? retryAfterMs(response.headers['retry-after'], Date.now()) : undefined,
      };
    },
  };
}

function userAgentOf(headers: Readonly<Record<string, string>>): string | undefined {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === 'user-agent')?.[1];
}

/** If a host name has several addresses, the error itself has no message. */
function whatWentWrong(error: Error | undefined): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(whatWentWrong).join('; ');
  return error?.message ?? 'no answer';
}

/** The backend's own message; '' if there is none. */
function wordsOf(contentType: string, data: string): string {
  if (/^(text\/plain|application\/json)\b/i.test(contentType)) return data;
  return /^application\/x-protobuf\b/i.test(contentType) ? statusMessage(Buffer.from(data)) : '';
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MAX_REASON_CHARS ? `${line.slice(0, MAX_REASON_CHARS)}…` : line;
}

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3) → milliseconds from now; undefined if it is neither. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
