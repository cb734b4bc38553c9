/** OpenTelemetry's exporters as the agent uses them; requests and answers are plain bytes. */
import assert from 'node:assert/strict';
import { type Attempt, type Exporter, openExporter } from '../../src/export/otlp/exporter.ts';
import type { Log } from '../../src/model/log.ts';
import type { OtlpTarget } from '../../src/model/otlp.ts';

const BYTES = {
  serializeRequest: (request: Uint8Array) => request,
  deserializeResponse: (response: Uint8Array) => response,
};
const never = new AbortController().signal;

export interface RawExporter {
  attempt(
    body: Uint8Array,
    timeoutMs: number,
    closing?: AbortSignal,
    hurrying?: AbortSignal,
  ): Promise<Attempt<Uint8Array>>;
  close(): void;
}

export function openRawExporter(target: OtlpTarget, log: Log): RawExporter {
  const signal = {
    json: BYTES,
    protobuf: BYTES,
    helper: { name: 'metric_data_point' as const, countItems: () => 1 },
    method: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  };
  const exporter: Exporter<Uint8Array, Uint8Array> = openExporter(signal, target, {
    userAgent: 'test/1',
    log,
  });
  return {
    attempt: (body, timeoutMs, closing = never, hurrying = never) =>
      exporter.attempt(body, timeoutMs, closing, hurrying),
    close: exporter.close,
  };
}

/** Why an attempt was refused. */
export function refused(attempt: Attempt<unknown>): {
  reason: string;
  retryable: boolean;
  waitMs?: number | undefined;
} {
  assert.ok(!attempt.accepted, 'it was accepted');
  const { accepted: _, ...why } = attempt;
  return why;
}
