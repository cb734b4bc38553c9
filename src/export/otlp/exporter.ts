/**
 * One attempt to export a request, by OpenTelemetry's own exporters (otlp-exporter-base and otlp-grpc-exporter-base
 * 0.301). What they leave open is added here: a time limit for the whole attempt (theirs over HTTP is for a silent
 * socket), the backend's status and `Retry-After`, partial success, and certificates that change.
 */
import { ExportResultCode } from '@opentelemetry/core';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { OtlpTarget } from '../../model/otlp.ts';
import type { Connection, Refusal, Signal } from './connection.ts';
import { grpcConnection } from './grpc.ts';
import { httpConnection } from './http.ts';
import { openTlsFiles } from './tls.ts';

/** The result of one attempt. `response` is undefined where the answer is empty. */
export type Attempt<Response> =
  | { taken: true; response: Response | undefined }
  | ({ taken: false } & Refusal);

export interface Exporter<Request, Response> {
  /**
   * Never rejects, and ends within `timeoutMs`. When `closing` aborts, it ends at once. When `hurrying` aborts, it ends
   * with the first answer: the exporter would try again within its time.
   */
  attempt(
    request: Request,
    timeoutMs: number,
    closing: AbortSignal,
    hurrying: AbortSignal,
  ): Promise<Attempt<Response>>;
  close(): void;
}

/** What the delegate made of the answer to the attempt under way: there is one attempt at a time. */
interface Answer<Response> {
  response?: Response | undefined;
  error?: unknown;
}

interface Link<Request, Response> {
  connection: Connection<Request>;
  answer: Answer<Response>;
}

/** Throws a `UsageError` for headers that the protocol cannot send, and for files that it cannot use. */
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
      // The exporter only logs a partial success. Here it is counted.
      return {} as Response;
    };
    const listening = { serializeRequest: serializer.serializeRequest.bind(serializer), deserializeResponse };
    return { connection: open(signal, listening, { target, userAgent, tls: tls.now() }), answer };
  };
  let link = connect();
  const cut = (): void => {
    link.connection.cut();
    // Another link, so that a late answer is not taken for the answer of the next attempt.
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
          give({ taken: false, ...refusal });
          if (link.connection === connection) cut();
        };
        const onClosing = (): void => giveUp({ reason: 'the program ends', retryable: true });
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
          if (code !== ExportResultCode.SUCCESS) give({ taken: false, ...connection.refusal(error) });
          else if (answer.error === undefined) give({ taken: true, response: answer.response });
          else
            give({
              taken: false,
              reason: `the answer is not OTLP: ${reasonOf(answer.error)}`,
              retryable: false,
            });
        });
      });
    },
    close: () => link.connection.cut(),
  };
}

/** The reason of an attempt that got no answer in time. */
function noAnswer(timeoutMs: number): string {
  return `no answer within ${Math.round(timeoutMs / 100) / 10} s`;
}
