/**
 * Connects traces to OpenTelemetry's SDK: a span processor that queues whole traces, limited by their number of spans,
 * and has one request under way at a time. Every trace gets an outcome. The SDK's batch processor (sdk-trace 3.1) drops
 * single spans if its queue is full, which would cut traces.
 */
import {
  type IExportTraceServiceResponse,
  JsonTraceSerializer,
  ProtobufTraceSerializer,
  TraceExporterMetricsHelper,
} from '@opentelemetry/otlp-transformer';
import type { Resource } from '@opentelemetry/resources';
import type { NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { OtlpTracesConfig } from '../../model/otlp.ts';
import type { TraceRecord } from '../../model/span.ts';
import { openExporter } from './exporter.ts';
import { createOutcomes, type PushCounts } from './outcomes.ts';
import { createSender, type Fate } from './send.ts';
import { createSpanMaker } from './spans.ts';
import { makeTraceQueue } from './trace-queue.ts';

const TRACES = {
  items: 'spans',
  json: JsonTraceSerializer,
  protobuf: ProtobufTraceSerializer,
  helper: TraceExporterMetricsHelper,
  method: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  partialSuccess: ({ partialSuccess: partial }: IExportTraceServiceResponse) =>
    partial && { rejected: partial.rejectedSpans, message: partial.errorMessage },
};

type SpanProcessor = NonNullable<NodeSDKConfiguration['spanProcessors']>[number];

export interface TracePushOptions {
  config: OtlpTracesConfig;
  /** The agent's resource. */
  resource: Resource;
  scope: { name: string; version: string };
  userAgent: string;
  counts: PushCounts;
  log: Log;
  /** Called once per trace with its outcome. Exported means that the backend accepted the trace's whole batch. */
  ended(traces: readonly TraceRecord[], outcome: 'exported' | 'failed'): void;
}

export interface TracePush extends SpanProcessor {
  /** Never waits, never throws. */
  add(traces: readonly TraceRecord[]): void;
  /** Gives the queue `withinMs` to become empty. `shutdown` of the processor waits for that. */
  end(withinMs: number): void;
}

/** Throws a `UsageError` if the target is unsuitable or its files can't be read. */
export function openTracePush(options: TracePushOptions): TracePush {
  const { config, resource, scope, counts, log, ended } = options;
  const { target, maxQueueSpans, maxBatchSpans, delayMs, exportTimeoutMs } = config;
  const exporter = openExporter(TRACES, target, options);
  const sender = createSender({ exporter, timeoutMs: target.timeoutMs });
  const outcomes = createOutcomes('traces', counts, log);
  const maker = createSpanMaker(resource, scope);
  const queue = makeTraceQueue(maxQueueSpans);
  const { origin, pathname } = new URL(target.url);
  log.info({ endpoint: origin + pathname, protocol: target.protocol }, 'pushing traces over OTLP');
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let deadlineMs = Number.POSITIVE_INFINITY;
  let isStopped = false;
  let late: NodeJS.Timeout | undefined;

  const fateOf = async (batch: readonly TraceRecord[]): Promise<Fate> => {
    const leftMs = Math.min(exportTimeoutMs, deadlineMs - performance.now());
    if (leftMs <= 0) return { accepted: false, reason: 'shutdown timed out' };
    try {
      if (resource.asyncAttributesPending) await resource.waitForAsyncAttributes?.();
      return await sender.send(maker.make(batch), leftMs);
    } catch (error) {
      return { accepted: false, reason: reasonOf(error) };
    }
  };

  const sendAll = async (isWorthIt: () => boolean): Promise<void> => {
    while (!queue.isEmpty() && isWorthIt()) {
      const batch = queue.take(maxBatchSpans);
      const fate = await fateOf(batch);
      queue.release(batch);
      // The backend does not say which spans it rejected, so no trace of the batch certainly arrived.
      ended(batch, fate.accepted && fate.rejected === 0 ? 'exported' : 'failed');
      outcomes.take(fate);
    }
  };

  const finish = async (): Promise<void> => {
    await sending;
    await sendAll(() => performance.now() < deadlineMs);
  };

  const begin = (): void => {
    timer = undefined;
    sending = sendAll(() => !isStopped && sender.quietMs() === 0).finally(() => {
      sending = undefined;
      wake();
    });
  };

  /** Sends full batches at once and the rest after a delay; nothing while the backend asks us to wait. */
  const wake = (): void => {
    if (sending !== undefined || isStopped || queue.isEmpty()) return;
    const quietMs = sender.quietMs();
    if (quietMs > 0 || queue.spans() < maxBatchSpans) {
      timer ??= setTimeout(begin, Math.max(quietMs, delayMs));
      return;
    }
    clearTimeout(timer);
    begin();
  };

  const drop = (traces: readonly TraceRecord[], reason: string): void => {
    if (traces.length === 0) return;
    ended(traces, 'failed');
    outcomes.dropped(traces.length, reason);
  };

  return {
    add: (traces) => {
      const reason = isStopped
        ? 'the program is shutting down'
        : `the queue of ${maxQueueSpans} spans is full`;
      const noRoom = traces.filter((trace) => isStopped || !queue.add(trace));
      drop(noRoom, reason);
      wake();
    },
    end: (withinMs) => {
      isStopped = true;
      clearTimeout(timer);
      deadlineMs = performance.now() + withinMs;
      sender.hurry();
      late = setTimeout(() => sender.close(), withinMs);
    },
    // Spans only come from `add`: the agent's own code is not instrumented.
    onStart: () => {},
    onEnd: () => {},
    forceFlush: finish,
    shutdown: async () => {
      await finish();
      clearTimeout(late);
      sender.close();
      const rest = queue.take(Number.POSITIVE_INFINITY);
      queue.release(rest);
      drop(rest, 'shutdown timed out');
      outcomes.ended();
    },
  };
}
