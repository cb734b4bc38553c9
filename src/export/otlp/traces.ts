/**
 * Pushes traces with OpenTelemetry's SDK and our own span processor. The processor queues whole traces and reports an
 * outcome for each. The SDK's batch processor (sdk-trace 3.1) drops single spans when its queue is full.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  JsonTraceSerializer,
  ProtobufTraceSerializer,
  TraceExporterMetricsHelper,
} from '@opentelemetry/otlp-transformer';
import type { Resource } from '@opentelemetry/resources';
import type { OtlpTracesConfig } from '../../model/otlp.ts';
import type { TraceRecord } from '../../model/span.ts';
import type { PushOptions } from './connection.ts';
import { openExporter } from './exporter.ts';
import { createOutcomes } from './outcomes.ts';
import { createSender } from './send.ts';
import { endedSpans } from './spans.ts';

const TRACES = {
  json: JsonTraceSerializer,
  protobuf: ProtobufTraceSerializer,
  helper: TraceExporterMetricsHelper,
  method: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
};

export interface TracePushOptions extends PushOptions {
  resource: Resource;
  /** Called exactly once for each trace. `exported` means that the backend accepted the trace's whole batch. */
  ended(traces: readonly TraceRecord[], outcome: 'exported' | 'failed'): void;
}

/** Returns a span processor. Throws a `UsageError` if the target is unsuitable or its files can't be read. */
export function openTracePush(config: OtlpTracesConfig, options: TracePushOptions) {
  const { resource, scope, counts, log, ended } = options;
  const { target, maxQueueSpans, maxBatchSpans, delayMs, exportTimeoutMs } = config;
  const sender = createSender(openExporter(TRACES, target, options), target.timeoutMs);
  const outcomes = createOutcomes('traces', counts, log);
  const { origin, pathname } = new URL(target.url);
  log.info({ endpoint: origin + pathname, protocol: target.protocol }, 'pushing traces over OTLP');
  const queue: TraceRecord[] = [];
  /** Number of spans in queued and in-flight traces. */
  let spans = 0;
  let isEnding = false;
  let sending: Promise<void> | undefined;
  let pause = new AbortController();

  /** Removes from the queue as many traces as fit into `maxBatchSpans` spans, but at least one. */
  const takeBatch = (): TraceRecord[] => {
    let size = 0;
    let length = 0;
    for (const trace of queue) {
      size += trace.spans.length;
      if (length > 0 && size > maxBatchSpans) break;
      length++;
    }
    return queue.splice(0, length);
  };

  /** Sends full batches immediately and the rest after a delay. Sends nothing while the backend asks us to wait. */
  const sendAll = async (): Promise<void> => {
    while (queue.length > 0) {
      const quietMs = sender.quietMs();
      if (!isEnding && (quietMs > 0 || spans < maxBatchSpans)) {
        pause = new AbortController();
        await sleep(Math.max(quietMs, delayMs), undefined, { signal: pause.signal }).catch(() => {});
      }
      const batch = takeBatch();
      await resource.waitForAsyncAttributes?.();
      const fate = await sender.send(endedSpans(batch, resource, scope), exportTimeoutMs);
      for (const trace of batch) spans -= trace.spans.length;
      // The backend doesn't report which spans it rejected, so every trace of the batch could be incomplete.
      ended(batch, fate.accepted && fate.rejected === 0 ? 'exported' : 'failed');
      outcomes.take(fate);
    }
    sending = undefined;
  };

  return {
    /** Adds traces to the queue. Traces that do not fit have the outcome `failed`. Never waits, never throws. */
    add: (traces: readonly TraceRecord[]): void => {
      const dropped: TraceRecord[] = [];
      for (const trace of traces) {
        const hasRoom = !isEnding && spans + trace.spans.length <= maxQueueSpans;
        (hasRoom ? queue : dropped).push(trace);
        if (hasRoom) spans += trace.spans.length;
      }
      if (dropped.length > 0) {
        ended(dropped, 'failed');
        const full = `the queue of ${maxQueueSpans} spans is full`;
        outcomes.dropped(dropped.length, isEnding ? 'the agent is shutting down' : full);
      }
      if (spans >= maxBatchSpans && sender.quietMs() === 0) pause.abort();
      if (queue.length > 0) sending ??= sendAll();
    },
    /** Starts to flush the queue. The flush ends within `withinMs`; `shutdown` waits for its end. */
    end: (withinMs: number): void => {
      isEnding = true;
      sender.end(withinMs);
      pause.abort();
    },
    // No-ops, because spans come only from `add`: the agent's own code is not instrumented.
    onStart: () => {},
    onEnd: () => {},
    forceFlush: async () => sending,
    shutdown: async () => {
      await sending;
      sender.close();
      outcomes.ended();
    },
  };
}
