/**
 * OTLP over HTTP (opentelemetry.io/docs/specs/otlp, OTLP/HTTP): one POST an attempt. The SDK's own exporters give up a
 * hung request only when its socket falls silent, keep the process for as long after it wants to end, forget
 * `Retry-After` with the request, and do not tell what the backend said.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { OtlpTarget } from '../model/otlp.ts';
import { type Attempt, noAnswer, type Transport } from './otlp-send.ts';
import { statusMessage } from './otlp-status.ts';
import type { TlsFiles } from './otlp-tls.ts';

const compress = promisify(gzip);

/** Statuses that may pass (specs/otlp, retryable response codes). */
const RETRYABLE: readonly number[] = [429, 502, 503, 504];
/** Answers are some bytes; whoever sends more is no OTLP backend. */
const LARGEST_ANSWER_BYTES = 1 << 20;
const MAX_REASON_CHARS = 200;

export interface HttpOptions {
  target: OtlpTarget;
  tls: TlsFiles;
  userAgent: string;
}

export function createHttpTransport({ target, tls, userAgent }: HttpOptions): Transport {
  const isTls = target.url.startsWith('https:');
  const contentType = target.protocol === 'http/json' ? 'application/json' : 'application/x-protobuf';
  const own = { 'user-agent': userAgent, ...lowerCase(target.headers), 'content-type': contentType };
  let agent: HttpAgent | undefined;

  /** Connections are made anew when the files of certificates have changed. */
  const agentNow = (): HttpAgent => {
    const changed = tls.changed();
    if (agent === undefined || changed) {
      agent?.destroy();
      agent = isTls ? new HttpsAgent({ keepAlive: true, ...tls.now() }) : new HttpAgent({ keepAlive: true });
    }
    return agent;
  };

  const exchange = async (body: Uint8Array, signal: AbortSignal): Promise<Attempt> => {
    const isCompressed = target.compression === 'gzip';
    const sent = isCompressed ? await compress(body) : body;
    const headers = {
      ...own,
      'content-length': sent.length,
      ...(isCompressed ? { 'content-encoding': 'gzip' } : {}),
    };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = isTls ? httpsRequest : httpRequest;
      const options = { method: 'POST', headers, agent: agentNow(), signal };
      request(target.url, options, resolve).on('error', reject).end(sent);
    });
    const content = await contentOf(answer);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status <= 299) return { taken: true, response: content };
    const retryable = RETRYABLE.includes(status);
    const waitMs = retryable ? retryAfterMs(answer.headers['retry-after'], Date.now()) : undefined;
    const said = whatItSays(answer.headers['content-type'] ?? '', content);
    const reason = [`HTTP ${status} ${answer.statusMessage ?? ''}`.trim(), said].filter(
      (part) => part !== '',
    );
    return {
      taken: false,
      reason: reason.join(': '),
      retryable,
      ...(waitMs === undefined ? {} : { waitMs }),
    };
  };

  return {
    attempt: async (body, timeoutMs, signal) => {
      const ending = new AbortController();
      const end = () => ending.abort();
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        end();
      }, timeoutMs);
      signal.addEventListener('abort', end);
      try {
        return await exchange(body, ending.signal);
      } catch (error) {
        const reason = isLate ? noAnswer(timeoutMs) : whatWentWrong(error);
        return { taken: false, reason, retryable: true };
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
      }
    },
    close: () => agent?.destroy(),
  };
}

/** The whole answer. Rejects when it breaks off or is too long. */
async function contentOf(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LARGEST_ANSWER_BYTES)
      throw new Error(`an answer of more than ${LARGEST_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Where a name has several addresses the error of all of them is without words. */
function whatWentWrong(error: unknown): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(whatWentWrong).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** The backend's own words, if they are any, on one line. */
function whatItSays(contentType: string, content: Buffer): string {
  const isText = /^(text\/plain|application\/json)\b/i.test(contentType);
  const text = isText
    ? content.toString('utf8')
    : /^application\/x-protobuf\b/i.test(contentType)
      ? statusMessage(content)
      : '';
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MAX_REASON_CHARS ? `${line.slice(0, MAX_REASON_CHARS)}…` : line;
}

/** `Retry-After`, seconds or a date (RFC 9110, 10.2.3) → milliseconds from now; undefined when it is neither. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
