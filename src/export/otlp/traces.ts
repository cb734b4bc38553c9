/**
 * Traces for OpenTelemetry's SDK: a span processor that queues whole traces up to a bound of spans, with one request under
 * way at a time. Every trace ends in an outcome. The SDK's batch processor (sdk-trace 3.1) drops single spans when its
 * queue is full, and so cuts traces.
 */
import {
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
import { createOutcomes, type PushCounts, rejectedOf } from './outcomes.ts';
import { createSender } from './send.ts';
import { createSpanMaker } from './spans.ts';

const TRACES = {
  json: JsonTraceSerializer,
  protobuf: ProtobufTraceSerializer,
  helper: TraceExporterMetricsHelper,
  method: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
};

type SpanProcessor = NonNullable<NodeSDKConfiguration['spanProcessors']>[number];

export interface TracePushOptions {
  config: OtlpTracesConfig;
  /** Of the agent. */
  resource: Resource;
  scope: { name: string; version: string };
  userAgent: string;
  counts: PushCounts;
  log: Log;
  /** Called once per trace with its outcome. Exported: the backend took all of its batch. */
  ended(traces: readonly TraceRecord[], outcome: 'exported' | 'failed'): void;
}

export interface TracePush extends SpanProcessor {
  /** Never waits, never throws. */
  add(traces: readonly TraceRecord[]): void;
  /** From now on the queue has `withinMs` to get empty. `shutdown` of the processor waits for that. */
  end(withinMs: number): void;
}

/** Throws a `UsageError` for what the target cannot do, or files it cannot read. */
export function openTracePush(options: TracePushOptions): TracePush {
  const { config, resource, scope, counts, log, ended } = options;
  const { target, maxQueueSpans, maxBatchSpans, delayMs, exportTimeoutMs } = config;
  const exporter = openExporter(TRACES, target, options);
  const sender = createSender({ exporter, timeoutMs: target.timeoutMs });
  const outcomes = createOutcomes('traces', counts, log);
  const maker = createSpanMaker(resource, scope);
  let queue: TraceRecord[] = [];
  /** Of the queue and of the request under way. */
  let spans = 0;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let deadlineMs = Number.POSITIVE_INFINITY;
  let isStopped = false;
  let late: NodeJS.Timeout | undefined;

  const { origin, pathname } = new URL(target.url);
  log.info({ endpoint: origin + pathname, protocol: target.protocol }, 'pushing traces over OTLP');

  /** Traces from the front of the queue, as many as a request holds: one at least. */
  const takeBatch = (): TraceRecord[] => {
    let size = 0;
    let length = 0;
    while (length < queue.length) {
      const more = queue[length].spans.length;
      if (length > 0 && size + more > maxBatchSpans) break;
      size += more;
      length++;
    }
    const batch = queue.slice(0, length);
    queue = queue.slice(length);
    return batch;
  };

  const fateOf = async (batch: readonly TraceRecord[]): ReturnType<typeof sender.send> => {
    const leftMs = Math.min(exportTimeoutMs, deadlineMs - performance.now());
    if (leftMs <= 0) return { taken: false, reason: 'there is no more time' };
    try {
      if (resource.asyncAttributesPending) await resource.waitForAsyncAttributes?.();
      return await sender.send(maker.make(batch), leftMs);
    } catch (error) {
      return { taken: false, reason: reasonOf(error) };
    }
  };

  const sendOne = async (): Promise<void> => {
    const batch = takeBatch();
    const size = spansOf(batch);
    const fate = await fateOf(batch);
    spans -= size;
    if (!fate.taken) {
      ended(batch, 'failed');
      outcomes.failed(fate.reason);
      return;
    }
    const partial = fate.response?.partialSuccess;
    const rejected = rejectedOf(partial?.rejectedSpans, size);
    const reason = partial?.errorMessage ?? '';
    // Nobody says which spans were rejected, so of no trace of the batch is it known that it has arrived.
    ended(batch, rejected > 0 ? 'failed' : 'exported');
    if (rejected >= size) {
      outcomes.failed(`the backend rejected all spans${reason && `: ${reason}`}`);
      return;
    }
    outcomes.exported();
    if (rejected > 0 || reason !== '') outcomes.rejected(rejected, reason);
  };

  const sendAll = async (isWorthIt: () => boolean): Promise<void> => {
    while (queue.length > 0 && isWorthIt()) await sendOne();
  };

  const begin = (): void => {
    timer = undefined;
    sending = sendAll(() => !isStopped && sender.quietMs() === 0).finally(() => {
      sending = undefined;
      wake();
    });
  };

  /** Full batches go at once, the rest when it has waited for others; none while the backend wants to be left alone. */
  const wake = (): void => {
    if (sending !== undefined || isStopped || queue.length === 0) return;
    const quietMs = sender.quietMs();
    if (quietMs > 0 || spans < maxBatchSpans) {
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
      const noRoom: TraceRecord[] = [];
      for (const trace of traces) {
        if (isStopped || spans + trace.spans.length > maxQueueSpans) {
          noRoom.push(trace);
          continue;
        }
        queue.push(trace);
        spans += trace.spans.length;
      }
      drop(noRoom, isStopped ? 'the program ends' : `${maxQueueSpans} spans are waiting already`);
      wake();
    },
    end: (withinMs) => {
      isStopped = true;
      clearTimeout(timer);
      deadlineMs = performance.now() + withinMs;
      sender.hurry();
      late = setTimeout(() => sender.close(), withinMs);
    },
    // Only `add` brings spans: the agent's own code is not traced.
    onStart: () => {},
    onEnd: () => {},
    forceFlush: async () => {
      await sending;
      await sendAll(() => performance.now() < deadlineMs);
    },
    shutdown: async () => {
      await sending;
      await sendAll(() => performance.now() < deadlineMs);
      clearTimeout(late);
      sender.close();
      spans -= spansOf(queue);
      drop(queue, 'there was no more time for them');
      queue = [];
      outcomes.ended();
    },
  };
}

function spansOf(traces: readonly TraceRecord[]): number {
  return traces.reduce((sum, trace) => sum + trace.spans.length, 0);
}
