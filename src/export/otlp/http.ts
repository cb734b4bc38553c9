/**
 * OTLP over HTTP with otlp-exporter-base 0.301. Its delegate retries by itself and does not report the status and
 * `Retry-After` of a temporary failure. So we read both from Node's diagnostics channels, and end the delegate at the
 * first temporary failure.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { ExportResultCode } from '@opentelemetry/core';
import { CompressionAlgorithm, OTLPExporterError } from '@opentelemetry/otlp-exporter-base';
import { createOtlpHttpExportDelegate } from '@opentelemetry/otlp-exporter-base/node-http';
import type { ISerializer } from '@opentelemetry/otlp-transformer';
import type { Connection, ConnectionOptions, Refusal, Signal } from './connection.ts';
import { statusMessage } from './status.ts';

/** Temporary failures (opentelemetry.io/docs/specs/otlp, retryable response codes). */
const RETRYABLE: readonly number[] = [429, 502, 503, 504];
const MAX_REASON_CHARS = 200;
/** The delegate reads up to 4 MiB; an answer has less than 1 KiB. */
const MAX_ANSWER_BYTES = 65_536;

export function httpConnection<Request, Response>(
  { helper }: Signal<Request, Response>,
  serializer: ISerializer<Request, Response>,
  { target, tls, userAgent }: ConnectionOptions,
): Connection<Request> {
  const isTls = target.url.startsWith('https:');
  const agent = isTls ? new HttpsAgent({ keepAlive: true, ...tls }) : new HttpAgent({ keepAlive: true });
  const contentType = target.protocol === 'http/json' ? 'application/json' : 'application/x-protobuf';
  const ownUserAgent = Object.entries(target.headers).find(([name]) => name.toLowerCase() === 'user-agent');
  let unwatch = (): void => {};
  return {
    send: (request, timeoutMillis, done) => {
      let response: IncomingMessage | undefined;
      const end = (refusal?: Refusal): void => {
        unwatch();
        done(refusal);
      };
      unwatch = watch(agent, (seen) => {
        if (seen instanceof Error) return end({ reason: whatWentWrong(seen), retryable: true });
        response = seen;
        if (RETRYABLE.includes(seen.statusCode ?? 0)) return end(refusalOf(seen));
        let bytes = 0;
        seen.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes <= MAX_ANSWER_BYTES) return;
          const isAccepted = (seen.statusCode ?? 0) < 300;
          end(isAccepted ? { reason: 'the response is too large', retryable: true } : refusalOf(seen));
        });
      });
      createOtlpHttpExportDelegate(
        {
          url: target.url,
          headers: async () => ({ ...target.headers, 'Content-Type': contentType }),
          compression: target.compression === 'gzip' ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE,
          concurrencyLimit: 1,
          timeoutMillis,
          agentFactory: () => agent,
          // The SDK appends its own name to this one.
          userAgent: ownUserAgent?.[1] ?? userAgent,
        },
        serializer,
        'otlp_http_exporter',
        helper,
        undefined,
      ).export(request, ({ code, error }) => {
        if (code === ExportResultCode.SUCCESS) end();
        else if (response === undefined || (response.statusCode ?? 0) < 300)
          end({ reason: whatWentWrong(error), retryable: true });
        else end(refusalOf(response, error));
      });
    },
    cut: () => {
      unwatch();
      agent.destroy();
      // The delegate of an abandoned attempt would still retry.
      agent.createConnection = () => {
        throw new Error('this attempt was abandoned');
      };
    },
  };
}

/** Reports the response or the failure of each request of an agent, until the returned function is called. */
function watch(agent: HttpAgent, seen: (what: IncomingMessage | Error) => void): () => void {
  const listener = (message: unknown): void => {
    const { request, response, error } = message as {
      request: ClientRequest & { agent?: HttpAgent };
      response?: IncomingMessage;
      error?: Error;
    };
    const what = response ?? error;
    if (request.agent === agent && what !== undefined) seen(what);
  };
  const channels = ['http.client.response.finish', 'http.client.request.error'];
  for (const channel of channels) subscribe(channel, listener);
  return () => {
    for (const channel of channels) unsubscribe(channel, listener);
  };
}

/** `error` has the body, but not for temporary failures. */
function refusalOf(
  { statusCode = 0, statusMessage: phrase = '', headers }: IncomingMessage,
  error?: Error,
): Refusal {
  const retryable = RETRYABLE.includes(statusCode);
  const data = error instanceof OTLPExporterError ? (error.data ?? '') : '';
  const words = oneLine(wordsOf(headers['content-type'] ?? '', data));
  const line = `HTTP ${statusCode} ${phrase}`.trim();
  return {
    reason: words === '' ? line : `${line}: ${words}`,
    retryable,
    waitMs: retryable ? retryAfterMs(headers['retry-after'], Date.now()) : undefined,
  };
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
