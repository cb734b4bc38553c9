/**
 * Makes one attempt to export a request, with OpenTelemetry's own exporters (0.301). Adds what these lack: a time limit
 * for the attempt; the status, requested wait and partial success of the response; and new certificates.
 */
import { ExportResultCode } from '@opentelemetry/core';
import { reasonOf } from '../../model/errors.ts';
import type { OtlpTarget } from '../../model/otlp.ts';
import type { Answer, Fate, PushOptions, Signal } from './connection.ts';
import { grpcConnection } from './grpc.ts';
import { httpConnection } from './http.ts';
import { openTlsFiles, type TlsMaterial } from './tls.ts';

export type Exporter<Request> = ReturnType<typeof openExporter<Request>>;

/** Returns an exporter for a target. Throws a `UsageError` if a certificate file is unusable. */
export function openExporter<Request>(signal: Signal<Request>, target: OtlpTarget, options: PushOptions) {
  const { name, version } = options.scope;
  const readTls = openTlsFiles(target, options.log);
  const isJson = target.protocol === 'http/json';
  const connectTo = target.protocol === 'grpc' ? grpcConnection : httpConnection;
  // OpenTelemetry's delegate still counts an attempt during its callback, but the callback can begin the next one.
  const limits = { concurrencyLimit: 10, timeoutMillis: target.timeoutMs };
  const shared = { ...limits, compression: target.compression, userAgent: `${name}/${version}` };
  /** Response body of the current attempt. */
  let body: Uint8Array;
  const serializer = {
    serializeRequest: (isJson ? signal.json : signal.protobuf).serializeRequest,
    // Keeps the body for `fateOf`. The delegate only logs partial success and invalid responses, but we count both.
    deserializeResponse: (bytes: Uint8Array) => {
      body = bytes;
      return {};
    },
  };
  const connect = (tls: TlsMaterial) => ({ ...connectTo({ signal, serializer, target, shared, tls }), tls });
  let link = connect(readTls());
  let giveUp = (_reason: string): void => {};
  const cut = (): void => {
    link.cut();
    link = connect(readTls());
  };

  /** Decodes the response body. The SDK would return an empty response for a body that is not JSON. */
  const decode = (): Answer =>
    isJson && body.length > 0
      ? JSON.parse(Buffer.from(body).toString())
      : signal.protobuf.deserializeResponse(body);

  /** Returns the outcome of a request that the backend answered with a success status. */
  const fateOf = (request: Request): Fate => {
    try {
      const { errorMessage, ...numbers } = decode().partialSuccess ?? {};
      const message = errorMessage ?? '';
      const sent = signal.helper.countItems(request);
      // `numbers` has only rejectedDataPoints or rejectedSpans. The SDK decodes a negative number as unsigned.
      const number = Number(Object.values(numbers)[0]) || 0;
      const rejected = number < 0 || number >= 2 ** 63 ? 0 : number;
      if (rejected < sent) return { accepted: true, rejected, message };
      return { accepted: false, reason: `the backend rejected everything${message && `: ${message}`}` };
    } catch (error) {
      return { accepted: false, reason: `the response is not OTLP: ${reasonOf(error)}` };
    }
  };

  return {
    /** Makes one attempt; only one at a time is allowed. Never rejects, and ends within `timeoutMs`. */
    attempt: async (request: Request, timeoutMs: number): Promise<Fate> => {
      if (readTls() !== link.tls) cut();
      const { send, refusalOf } = link;
      const { promise, resolve } = Promise.withResolvers<Fate>();
      giveUp = (reason) => resolve({ accepted: false, reason, retryable: true });
      const seconds = Math.round(timeoutMs / 100) / 10;
      const timer = setTimeout(giveUp, timeoutMs, `no response within ${seconds} s`);
      body = new Uint8Array();
      try {
        send(request, ({ code, error }) =>
          resolve(code === ExportResultCode.SUCCESS ? fateOf(request) : refusalOf(error)),
        );
      } catch (error) {
        resolve({ accepted: false, reason: reasonOf(error) });
      }
      const fate = await promise;
      clearTimeout(timer);
      // After a failure, the old connection could delay its reconnect, or receive a late response to this attempt.
      if (!fate.accepted) cut();
      return fate;
    },
    /** Ends the current attempt, and closes the connection. */
    close: (): void => {
      giveUp('no response before the program ended');
      cut();
    },
  };
}
