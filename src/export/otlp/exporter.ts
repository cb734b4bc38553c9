/**
 * Makes one attempt to export a request, with OpenTelemetry's own exporters (otlp-exporter-base and
 * otlp-grpc-exporter-base 0.301). Adds what they lack: a time limit for the whole attempt (theirs for HTTP only limits a
 * silent socket), the backend's status and the wait it asks for, partial success, and certificates that change.
 */
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { OtlpTarget } from '../../model/otlp.ts';
import type { Connection, Refusal, Signal } from './connection.ts';
import { grpcConnection } from './grpc.ts';
import { httpConnection } from './http.ts';
import { openTlsFiles } from './tls.ts';

/** `rejected` is a number of items. A backend can send a message although it rejects nothing. */
export interface Accepted {
  accepted: true;
  rejected: number;
  message: string;
}

export type Attempt = Accepted | ({ accepted: false } & Refusal);

export interface Exporter<Request> {
  /** One at a time. Never rejects, and ends within `timeoutMs`. */
  attempt(request: Request, timeoutMs: number): Promise<Attempt>;
  /** Ends the attempt under way, and the connections. */
  close(): void;
}

/** Throws a `UsageError` for headers that the protocol can't send and for unusable files. */
export function openExporter<Request, Response>(
  signal: Signal<Request, Response>,
  target: OtlpTarget,
  { userAgent, log }: { userAgent: string; log: Log },
): Exporter<Request> {
  const tls = openTlsFiles(target, log);
  const serializer = target.protocol === 'http/json' ? signal.json : signal.protobuf;
  const open =
    target.protocol === 'grpc' ? grpcConnection<Request, Response> : httpConnection<Request, Response>;
  const connect = (material = tls()) => {
    /** The delegate's reading of the answer to the current attempt. */
    const answer: { response?: Response | undefined; error?: unknown } = {};
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
    const connection: Connection<Request> = open(signal, listening, { target, userAgent, tls: material });
    return { connection, answer, material };
  };
  let link = connect();
  let giveUp = (_reason: string): void => {};
  const cut = (): void => {
    link.connection.cut();
    link = connect();
  };

  /** The result of a request that was answered with success. */
  const resultOf = ({ response, error }: typeof link.answer, request: Request): Attempt => {
    if (error !== undefined) {
      return { accepted: false, reason: `the response is not OTLP: ${reasonOf(error)}`, retryable: false };
    }
    const partial = response === undefined ? undefined : signal.partialSuccess(response);
    const message = partial?.message ?? '';
    const sent = signal.helper.countItems(request);
    // An impossible number is clamped.
    const rejected = Math.min(Math.max(Number(partial?.rejected) || 0, 0), sent);
    if (rejected === 0 || rejected < sent) return { accepted: true, rejected, message };
    const reason = `the backend rejected all ${signal.items}${message && `: ${message}`}`;
    return { accepted: false, reason, retryable: false };
  };

  return {
    attempt: (request, timeoutMs) => {
      if (tls() !== link.material) cut();
      const { connection, answer } = link;
      answer.response = undefined;
      answer.error = undefined;
      return new Promise((resolve) => {
        const end = (attempt: Attempt): void => {
          clearTimeout(timer);
          // A new connection tries at once, and cannot mistake a late answer for the answer to the next attempt.
          if (!attempt.accepted && link.connection === connection) cut();
          resolve(attempt);
        };
        giveUp = (reason) => end({ accepted: false, reason, retryable: true });
        const seconds = Math.round(timeoutMs / 100) / 10;
        const timer = setTimeout(() => giveUp(`no response within ${seconds} s`), timeoutMs);
        connection.send(request, timeoutMs, (refusal) =>
          end(refusal === undefined ? resultOf(answer, request) : { accepted: false, ...refusal }),
        );
      });
    },
    close: () => {
      giveUp('no response before the program ended');
      link.connection.cut();
    },
  };
}
