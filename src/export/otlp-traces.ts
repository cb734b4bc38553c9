/**
 * Traces pushed over OTLP, each whole or not at all. The SDK's batch processor is not used: it drops what comes at once
 * without a word, and traces come at once, some a second. Queued are spans up to a bound; one request is under way at a
 * time, and a backend that is gone costs what it was sent, and what there is no room for: all of it is counted.
 */
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { Log } from '../model/log.ts';
import type { OtlpTracesConfig } from '../model/otlp.ts';
import type { TraceRecord } from '../model/span.ts';
import { createOutcomes, type PushCounts, partialSuccess } from './otlp-outcomes.ts';
import { type ResourceFacts, resourceAttributes } from './otlp-resource.ts';
import { createSender, type Fate } from './otlp-send.ts';
import { createSpanMaker } from './otlp-spans.ts';
import { openTransport } from './otlp-transport.ts';

const SCOPE = 'ftrace-exporter';
const GRPC_METHOD = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

export interface TracePushOptions {
  config: OtlpTracesConfig;
  resource: ResourceFacts;
  counts: PushCounts;
  log: Log;
  /** Told once of every trace, with what became of it. Exported: the backend took all of its batch. */
  ended(traces: readonly TraceRecord[], outcome: 'exported' | 'failed'): void;
}

export interface TracePush {
  /** Never waits, never throws. */
  add(traces: readonly TraceRecord[]): void;
  /** Sends what is queued and ends, in `withinMs` at the latest. Never rejects. */
  stop(withinMs: number): Promise<void>;
}

/** Throws a `UsageError` for what the target cannot do, or files it cannot read. */
export function openTracePush({ config, resource, counts, log, ended }: TracePushOptions): TracePush {
  const { target, maxQueueSpans, maxBatchSpans, delayMs, exportTimeoutMs } = config;
  const scope = { name: SCOPE, version: resource.version };
  const transport = openTransport(target, {
    userAgent: `${SCOPE}/${resource.version}`,
    method: GRPC_METHOD,
    log,
  });
  const sender = createSender({ transport, timeoutMs: target.timeoutMs });
  const outcomes = createOutcomes('traces', counts, log);
  const maker = createSpanMaker(resourceAttributes(resource), scope);
  const serializer = target.protocol === 'http/json' ? JsonTraceSerializer : ProtobufTraceSerializer;
  let queue: TraceRecord[] = [];
  /** Of the queue and of the request under way. */
  let spans = 0;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let deadlineMs = Number.POSITIVE_INFINITY;
  let isStopped = false;

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

  const fateOf = async (batch: readonly TraceRecord[]): Promise<Fate> => {
    try {
      const body = serializer.serializeRequest(maker.make(batch));
      if (body === undefined) return { taken: false, reason: 'the traces cannot be encoded' };
      const leftMs = Math.min(exportTimeoutMs, deadlineMs - performance.now());
      if (leftMs <= 0) return { taken: false, reason: 'there is no more time' };
      return await sender.send(body, leftMs);
    } catch (error) {
      return { taken: false, reason: error instanceof Error ? error.message : String(error) };
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
    const partial = partialSuccess(serializer, fate.response);
    const rejected = Number(partial?.rejectedSpans ?? 0);
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
    stop: async (withinMs) => {
      isStopped = true;
      clearTimeout(timer);
      deadlineMs = performance.now() + withinMs;
      sender.hurry();
      const late = setTimeout(() => sender.close(), withinMs);
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
