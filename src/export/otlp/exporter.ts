/**
 * Makes one attempt to export a request, with OpenTelemetry's own exporters (otlp-exporter-base and
 * otlp-grpc-exporter-base 0.301). Adds what they lack: a time limit for the whole attempt (theirs for HTTP only limits a
 * silent socket), the backend's status and `Retry-After`, partial success, and certificates that change.
 */
import { ExportResultCode } from '@opentelemetry/core';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { OtlpTarget } from '../../model/otlp.ts';
import type { Connection, Refusal, Signal } from './connection.ts';
import { grpcConnection } from './grpc.ts';
import { httpConnection } from './http.ts';
import { openTlsFiles } from './tls.ts';

/** The result of one attempt. `response` is undefined if the answer is empty. */
export type Attempt<Response> =
  | { accepted: true; response: Response | undefined }
  | ({ accepted: false } & Refusal);

export interface Exporter<Request, Response> {
  /**
   * Never rejects, and ends within `timeoutMs`. When `closing` aborts, it ends at once. When `hurrying` aborts, it ends
   * with the first answer, although the exporter would retry within its time.
   */
  attempt(
    request: Request,
    timeoutMs: number,
    closing: AbortSignal,
    hurrying: AbortSignal,
  ): Promise<Attempt<Response>>;
  close(): void;
}

/** The delegate's reading of the answer to the current attempt; there is only one at a time. */
interface Answer<Response> {
  response?: Response | undefined;
  error?: unknown;
}

interface Link<Request, Response> {
  connection: Connection<Request>;
  answer: Answer<Response>;
}

/** Throws a `UsageError` for headers that the protocol can't send and for unusable files. */
export function openExporter<Request, Response>(
  signal: Signal<Request, Response>,
  target: OtlpTarget,
  { userAgent, log }: { userAgent: string; log: Log },
): Exporter<Request, Response> {
  const tls = openTlsFiles(target, log);
  const serializer = target.protocol === 'http/json' ? signal.json : signal.protobuf;
  const open =
    target.protocol === 'grpc' ? grpcConnection<Request, Response> : httpConnection<Request, Response>;
  const connect = (): Link<Request, Response> => {
    const answer: Answer<Response> = {};
    const deserializeResponse = (bytes: Uint8Array): Response => {
      try {
        if (bytes.length > 0) answer.response = serializer.deserializeResponse(bytes);
      } catch (error) {
        answer.error = error;
      }
      // The exporter only logs a partial success; we count it.
      return {} as Response;
    };
    const listening = { serializeRequest: serializer.serializeRequest.bind(serializer), deserializeResponse };
    return { connection: open(signal, listening, { target, userAgent, tls: tls.now() }), answer };
  };
  let link = connect();
  const cut = (): void => {
    link.connection.cut();
    // Use a new link, so that a late answer is not mistaken for the answer to the next attempt.
    link = connect();
  };

  return {
    attempt: (request, timeoutMs, closing, hurrying) => {
      if (tls.changed()) cut();
      const { connection, answer } = link;
      answer.response = undefined;
      answer.error = undefined;
      return new Promise((resolve) => {
        let hasFailed = false;
        const give = (attempt: Attempt<Response>): void => {
          clearTimeout(timer);
          unwatch();
          closing.removeEventListener('abort', onClosing);
          hurrying.removeEventListener('abort', onHurry);
          resolve(attempt);
        };
        const giveUp = (refusal: Refusal): void => {
          give({ accepted: false, ...refusal });
          if (link.connection === connection) cut();
        };
        const onClosing = (): void => giveUp({ reason: 'the program is shutting down', retryable: true });
        const onHurry = (): void => {
          if (hasFailed) giveUp(connection.refusal());
        };
        const unwatch = connection.watch(() => {
          hasFailed = true;
          if (hurrying.aborted) onHurry();
        });
        const timer = setTimeout(() => giveUp({ reason: noAnswer(timeoutMs), retryable: true }), timeoutMs);
        closing.addEventListener('abort', onClosing);
        hurrying.addEventListener('abort', onHurry);
        connection.delegate(timeoutMs).export(request, ({ code, error }) => {
          if (code !== ExportResultCode.SUCCESS) give({ accepted: false, ...connection.refusal(error) });
          else if (answer.error === undefined) give({ accepted: true, response: answer.response });
          else
            give({
              accepted: false,
              reason: `the response is not OTLP: ${reasonOf(answer.error)}`,
              retryable: false,
            });
        });
      });
    },
    close: () => link.connection.cut(),
  };
}

/** The reason for an attempt that got no response in time. */
function noAnswer(timeoutMs: number): string {
  return `no response within ${Math.round(timeoutMs / 100) / 10} s`;
}
