/**
 * Makes one attempt to export a request, with OpenTelemetry's own exporters (otlp-exporter-base and
 * otlp-grpc-exporter-base 0.301). Adds what they lack: a time limit for the whole attempt (their HTTP limit applies
 * only to a silent socket), the backend's status and requested wait, partial success, and certificates that change.
 */
import { ExportResultCode } from '@opentelemetry/core';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { OtlpTarget } from '../../model/otlp.ts';
import type { Fate, Signal } from './connection.ts';
import { grpcConnection } from './grpc.ts';
import { httpConnection } from './http.ts';
import { openTlsFiles } from './tls.ts';

/** A backend's message about the items that it did not accept: their number, and why. */
type Answer = { partialSuccess?: { errorMessage?: string | null | undefined } | null | undefined };

export interface Exporter<Request> {
  /** Makes one attempt; only one at a time is allowed. Never rejects, and ends within `timeoutMs`. */
  attempt(request: Request, timeoutMs: number): Promise<Fate>;
  /** Ends the current attempt, and closes the connection. */
  close(): void;
}

/** Throws a `UsageError` for files that cannot be used. */
export function openExporter<Request, Response extends Answer>(
  signal: Signal<Request, Response>,
  target: OtlpTarget,
  { userAgent, log }: { userAgent: string; log: Log },
): Exporter<Request> {
  const tls = openTlsFiles(target, log);
  const connectTo = target.protocol === 'grpc' ? grpcConnection : httpConnection;
  const { serializeRequest, deserializeResponse } =
    target.protocol === 'http/json' ? signal.json : signal.protobuf;
  const connect = (material = tls()) => {
    /** The answer to the current attempt. */
    const answer: { response?: Response | undefined; error?: unknown } = {};
    const serializer = {
      serializeRequest,
      deserializeResponse: (bytes: Uint8Array): Response => {
        try {
          if (bytes.length > 0) answer.response = deserializeResponse(bytes);
        } catch (error) {
          answer.error = error;
        }
        // The exporter only logs a partial success, but we count it.
        return {} as Response;
      },
    };
    const connection = connectTo({ signal, serializer, target, userAgent, tls: material });
    return { ...connection, answer, material };
  };
  let link = connect();
  let giveUp = (_reason: string): void => {};
  const cut = (): void => {
    link.cut();
    link = connect();
  };

  /** The outcome of a request that the backend answered with success. */
  const fateOf = ({ response, error }: typeof link.answer, request: Request): Fate => {
    if (error !== undefined)
      return { accepted: false, reason: `the response is not OTLP: ${reasonOf(error)}` };
    const { errorMessage, ...numbers } = response?.partialSuccess ?? {};
    const message = errorMessage ?? '';
    const sent = signal.helper.countItems(request);
    // The number is called rejectedDataPoints or rejectedSpans. An impossible number is clamped.
    const rejected = Math.min(Math.max(Number(Object.values(numbers)[0]) || 0, 0), sent);
    if (rejected === 0 || rejected < sent) return { accepted: true, rejected, message };
    return { accepted: false, reason: `the backend rejected everything${message && `: ${message}`}` };
  };

  return {
    attempt: (request, timeoutMs) => {
      if (tls() !== link.material) cut();
      const { delegate, answer, refusalOf } = link;
      answer.response = undefined;
      answer.error = undefined;
      return new Promise((resolve) => {
        const end = (fate: Fate): void => {
          clearTimeout(timer);
          // A new connection does not back off, and cannot mistake a late answer for the answer to the next attempt.
          if (!fate.accepted && link.delegate === delegate) cut();
          resolve(fate);
        };
        giveUp = (reason) => end({ accepted: false, reason, retryable: true });
        const seconds = Math.round(timeoutMs / 100) / 10;
        const timer = setTimeout(() => giveUp(`no response within ${seconds} s`), timeoutMs);
        try {
          delegate.export(request, ({ code, error }) =>
            end(code === ExportResultCode.SUCCESS ? fateOf(answer, request) : refusalOf(error)),
          );
        } catch (error) {
          end({ accepted: false, reason: reasonOf(error) });
        }
      });
    },
    close: () => {
      giveUp('no response before the program ended');
      cut();
    },
  };
}
