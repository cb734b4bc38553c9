/** The transport of a target, by its protocol. */
import type { Log } from '../model/log.ts';
import type { OtlpTarget } from '../model/otlp.ts';
import { createGrpcTransport } from './otlp-grpc.ts';
import { createHttpTransport } from './otlp-http.ts';
import type { Transport } from './otlp-send.ts';
import { openTlsFiles } from './otlp-tls.ts';

/** `method`: what gRPC calls. Throws a `UsageError` for what the target cannot do, or files it cannot read. */
export function openTransport(
  target: OtlpTarget,
  { userAgent, method, log }: { userAgent: string; method: string; log: Log },
): Transport {
  const tls = openTlsFiles(target, log);
  return target.protocol === 'grpc'
    ? createGrpcTransport({ target, tls, userAgent, method })
    : createHttpTransport({ target, tls, userAgent });
}
