/** Opens the exporters that the agent uses, but with plain bytes as requests and answers. */
import assert from 'node:assert/strict';
import type { Fate } from '../../src/export/otlp/connection.ts';
import { type Exporter, openExporter } from '../../src/export/otlp/exporter.ts';
import type { Log } from '../../src/model/log.ts';
import type { OtlpTarget } from '../../src/model/otlp.ts';

const BYTES = {
  serializeRequest: (request: Uint8Array) => request,
  deserializeResponse: (response: Uint8Array) => ({
    partialSuccess: { errorMessage: Buffer.from(response).toString() },
  }),
};
/** Opens an exporter that treats the body of each response as the message of a partial success. */
export function openRawExporter(target: OtlpTarget, log: Log): Exporter<Uint8Array> {
  const signal = {
    json: BYTES,
    protobuf: BYTES,
    helper: { name: 'metric_data_point' as const, countItems: () => 1 },
    method: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  };
  return openExporter(signal, target, {
    scope: { name: 'test', version: '1' },
    counts: { count() {}, reject() {} },
    log,
  });
}

/** Fails if the attempt was accepted. Returns why it was refused. */
export function refused(fate: Fate) {
  assert.ok(!fate.accepted, 'it was accepted');
  const { reason, retryable = false, waitMs } = fate;
  return { reason, retryable, waitMs };
}
