/**
 * Pushes traces to a backend in this process: what the backend receives, and the outcome of each trace.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeOtlpMetrics } from '../../../src/agent/main/otlp-metrics.ts';
import { makeTraces } from '../../../src/agent/main/traces.ts';
import { openSdk } from '../../../src/export/otlp/sdk.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { OtlpProtocol, OtlpTracesConfig } from '../../../src/model/otlp.ts';
import type { SpanKind, TraceRecord } from '../../../src/model/span.ts';
import {
  type HttpAnswer,
  type Receiver,
  startGrpcReceiver,
  startHttpReceiver,
} from '../../support/otlp-receiver.ts';
import { decodeSpans, traceOf, tracePartialSuccess } from '../../support/otlp-traces.ts';

const started: { stop(): Promise<unknown> }[] = [];
after(async () => {
  for (const one of started) await one.stop();
});

const RESOURCE = {
  version: '1.2.3',
  instance: 'test',
  hostName: 'node-1',
  hostId: undefined,
  env: {},
};

type Options = Partial<OtlpTracesConfig> & { protocol?: OtlpProtocol; timeoutMs?: number };

/** Sets up the code that pushes traces from the capture thread to a backend. */
function pushTo(url: string, { protocol = 'http/protobuf', timeoutMs = 5000, ...more }: Options = {}) {
  const lines: string[] = [];
  const log = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  const store = new MetricStore({ countsSeries: false });
  const threshold = { thresholdNs: 1e6 };
  const config = {
    maxTracesPerSecond: 50,
    containers: false,
    kinds: { syscalls: threshold, block: threshold },
  };
  const traces = makeTraces(store, config, true);
  const sdk = openSdk({
    config: {
      traces: {
        target: {
          protocol,
          url: protocol === 'grpc' ? url : `${url}/v1/traces`,
          headers: {},
          timeoutMs,
          compression: 'none',
        },
        maxQueueSpans: 1000,
        maxBatchSpans: 100,
        delayMs: 20,
        exportTimeoutMs: 5000,
        ...more,
      },
      resource: { team: 'a' },
    },
    resource: RESOURCE,
    counts: (signal) => makeOtlpMetrics(store, signal),
    log: { debug() {}, info: log('info'), warn: log('warn'), error: log('error') },
    ended: traces.ended,
  });
  const stop = (withinMs: number) => sdk.stop(withinMs);
  started.push({ stop: () => stop(0) });
  const counter = (name: string, ...labels: string[]) => {
    for (const { spec, labelValues, values } of store.snapshot().families) {
      const width = spec.labels.length;
      for (let s = 0; spec.name === name && s < values.length; s++) {
        if (labelValues.slice(s * width, (s + 1) * width).join() === labels.join()) return values[s];
      }
    }
    return Number.NaN;
  };
  const take = (records: readonly TraceRecord[]) => {
    traces.take(records);
    sdk.add(records);
  };
  return {
    traces: { ...traces, take },
    lines,
    stop,
    /** Number of spans with an outcome, over all kinds. */
    spans: (outcome: string) =>
      ['syscalls', 'block'].reduce((sum, k) => sum + counter('ftrace_exporter_spans_total', k, outcome), 0),
    counter,
  };
}

async function receiverOf(port = 0): Promise<Receiver<HttpAnswer>> {
  const receiver = await startHttpReceiver({ port });
  started.push({ stop: () => receiver.close().catch(() => {}) });
  return receiver;
}

async function until(done: () => boolean, what: () => string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!done()) {
    assert.ok(performance.now() < deadline, what());
    await sleep(10);
  }
}

const many = (
  n: number,
  kind: SpanKind = 'syscalls',
  more: Partial<TraceRecord> & { children?: number } = {},
) => Array.from({ length: n }, () => traceOf(kind, more));

const received = (receiver: { received: { body: Buffer }[] }) =>
  receiver.received.flatMap(({ body }) => decodeSpans(body).spans);

for (const protocol of ['http/protobuf', 'http/json', 'grpc'] as const) {
  test(`a trace arrives as it was made, by ${protocol}`, async () => {
    const receiver = protocol === 'grpc' ? await startGrpcReceiver() : await receiverOf();
    const { traces, counter, stop } = pushTo(receiver.url, { protocol });
    const parent = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8) };
    const plain = traceOf('syscalls', { resource: { 'container.id': 'c1', 'host.name': 'traced' } });
    const [root, child] = plain.spans;
    const below: TraceRecord = {
      ...plain,
      kind: 'block',
      traceId: parent.traceId,
      spans: [
        {
          ...root,
          parentSpanId: parent.spanId,
          start: [1_764_000_000, 999_999_999],
          end: [1_764_000_001, 7],
          error: 'ENOSPC',
          attributes: {
            text: '"<é\u2028',
            int: 2 ** 40,
            negative: -7,
            double: 0.25,
            yes: true,
            list: ['a', 'b'],
          },
        },
      ],
      resource: {},
    };
    traces.take([plain, below]);
    const request = await receiver.request(0);
    if (protocol === 'grpc')
      assert.equal(request.path, '/opentelemetry.proto.collector.trace.v1.TraceService/Export');
    else assert.equal(request.path, '/v1/traces');
    const { resources, spans } = decodeSpans(request.body, protocol === 'http/json' ? 'json' : 'protobuf');
    assert.equal(resources, 2);
    assert.equal(spans.length, 3);
    const [first, second, third] = spans;
    assert.deepEqual([first.traceId, first.spanId, first.parentSpanId], [plain.traceId, root.spanId, '']);
    assert.deepEqual([second.traceId, second.parentSpanId], [plain.traceId, root.spanId]);
    assert.deepEqual([first.start, first.end], [1_764_000_000_000_000_005n, 1_764_000_000_080_000_005n]);
    assert.deepEqual([second.name, second.attributes], [child.name, { 'system.device': 'sda' }]);
    assert.deepEqual(first.status, { code: 0, message: '' });
    assert.equal(first.resource['container.id'], 'c1');
    assert.equal(first.resource['host.name'], 'traced', 'the traced pod wins');
    assert.equal(third.resource['container.id'], undefined);
    assert.deepEqual([third.resource['service.name'], third.resource.team], ['ftrace-exporter', 'a']);
    assert.deepEqual([third.traceId, third.parentSpanId], [parent.traceId, parent.spanId]);
    assert.deepEqual([third.start, third.end], [1_764_000_000_999_999_999n, 1_764_000_001_000_000_007n]);
    assert.deepEqual(third.status, { code: 2, message: 'ENOSPC' });
    assert.deepEqual(third.attributes, below.spans[0].attributes);
    // Kind 1 is INTERNAL. Flag 1: sampled; 512: the parent is remote; 256: flag 512 is valid.
    for (const span of spans) assert.equal(span.kind, 1);
    assert.deepEqual([second.flags, third.flags], [257, 769]);
    assert.deepEqual(first.scope, { name: 'ftrace-exporter', version: '1.2.3' });
    await until(
      () => counter('ftrace_exporter_traces_total', 'block', 'exported') === 1,
      () => 'it is counted',
    );
    assert.equal(counter('ftrace_exporter_spans_total', 'syscalls', 'exported'), 2);
    assert.equal(counter('ftrace_exporter_spans_total', 'syscalls', 'failed'), 0);
    assert.equal(counter('ftrace_exporter_otlp_exports_total', 'traces', 'exported'), 1);
    await stop(1000);
    if (protocol === 'grpc') await receiver.close();
  });
}

test('10,000 spans at once: all arrive, each once, no trace divided', async () => {
  const receiver = await receiverOf();
  const { traces, spans, lines } = pushTo(receiver.url, { maxQueueSpans: 16_384, maxBatchSpans: 512 });
  traces.take(many(1000, 'syscalls', { children: 9 }));
  await until(
    () => spans('exported') === 10_000,
    () => `${spans('exported')} spans`,
  );
  const all = received(receiver);
  assert.equal(new Set(all.map(({ spanId }) => spanId)).size, 10_000);
  for (const { body } of receiver.received) {
    const inRequest = decodeSpans(body).spans;
    assert.ok(inRequest.length <= 512);
    assert.equal(inRequest.length % 10, 0);
  }
  assert.equal(spans('failed'), 0);
  assert.equal(lines.length, 1, lines.join('\n'));
});

test('traces without room in the queue are counted, and logged once', async () => {
  const receiver = await receiverOf();
  receiver.answer = 'hang';
  const { traces, spans, lines, counter } = pushTo(receiver.url);
  for (let second = 0; second < 5; second++) traces.take(many(400));
  assert.equal(counter('ftrace_exporter_traces_total', 'syscalls', 'failed'), 1500);
  assert.equal(spans('failed'), 3000);
  assert.equal(lines.filter((line) => /traces were dropped/.test(line)).length, 1, lines.join('\n'));
  receiver.answer = { status: 200 };
});

test('a trace larger than a request gets its own request', async () => {
  const receiver = await receiverOf();
  const { traces, spans } = pushTo(receiver.url, { maxBatchSpans: 10 });
  traces.take([traceOf('block', { children: 49 }), ...many(2)]);
  await until(
    () => spans('exported') === 54,
    () => 'all are there',
  );
  assert.deepEqual(
    receiver.received.map(({ body }) => decodeSpans(body).spans.length),
    [50, 4],
  );
});

const BAD: [what: string, answer: HttpAnswer][] = [
  ['hangs', 'hang'],
  ['resets', 'reset'],
  ['answers 429', { status: 429, headers: { 'retry-after': '1' } }],
  ['answers 503', { status: 503 }],
  ['refuses for good', { status: 400 }],
];
for (const [what, answer] of BAD) {
  test(`a backend that ${what}: the queue is bounded, and outcomes add up once it has recovered`, async () => {
    const receiver = await receiverOf();
    receiver.answer = answer;
    const { traces, spans, stop } = pushTo(receiver.url, {
      timeoutMs: 100,
      exportTimeoutMs: 300,
      maxQueueSpans: 600,
    });
    let handed = 0;
    const hand = async (seconds: number) => {
      for (let i = 0; i < seconds; i++) {
        traces.take(many(50));
        handed += 100;
        await sleep(50);
        const open = handed - spans('exported') - spans('failed');
        assert.ok(open >= 0 && open <= 600, `${open} spans are neither`);
      }
    };
    await hand(20);
    assert.ok(spans('failed') > 0);
    assert.equal(spans('exported'), 0);
    receiver.answer = { status: 200 };
    await until(
      () => spans('exported') + spans('failed') === handed,
      () => 'what waited goes out',
    );
    // On a busy machine, a request to a backend that answers can still take too long: hand over more until it recovers.
    await hand(3);
    for (let tries = 0; tries < 200 && spans('exported') < 300; tries++) await hand(1);
    assert.ok(spans('exported') >= 300, `300 spans must go out after it has recovered: ${spans('exported')}`);
    await stop(2000);
    assert.equal(spans('exported') + spans('failed'), handed);
    assert.ok(receiver.connections() <= 2);
  });
}

test('a backend that is killed and comes back', async () => {
  const receiver = await receiverOf();
  const { traces, spans, lines, stop } = pushTo(receiver.url, { exportTimeoutMs: 200 });
  traces.take(many(1));
  await receiver.request(0);
  await receiver.close();
  for (let i = 0; i < 10; i++) {
    traces.take(many(10));
    await sleep(40);
  }
  await until(
    () => spans('failed') > 0,
    () => 'failures are counted',
  );
  const again = await receiverOf(receiver.port);
  traces.take(many(1));
  await again.request(0);
  await stop(3000);
  assert.equal(spans('exported') + spans('failed'), 204);
  assert.equal(
    lines.filter((line) => line.startsWith('warn OTLP: a push failed')).length,
    1,
    lines.join('\n'),
  );
});

test('at the end the queue is sent, without waiting for a backend that hangs or is gone', {
  timeout: 60_000,
}, async () => {
  const receiver = await receiverOf();
  const well = pushTo(receiver.url, { delayMs: 3_600_000 });
  well.traces.take(many(30));
  await well.stop(5000);
  assert.equal(well.spans('exported'), 60);
  well.traces.take(many(1));
  assert.equal(well.spans('failed'), 2, 'afterwards nothing is taken, and that is counted');

  receiver.answer = 'hang';
  // Times so long that, during the test, a push ends only when it is stopped.
  const forEver = { delayMs: 3_600_000, timeoutMs: 3_600_000, exportTimeoutMs: 3_600_000 };
  const hung = pushTo(receiver.url, forEver);
  hung.traces.take(many(300));
  await hung.stop(400);
  assert.equal(hung.spans('failed'), 600);

  await receiver.close();
  const gone = pushTo(receiver.url, forEver);
  gone.traces.take(many(300));
  await gone.stop(3_600_000);
  assert.equal(gone.spans('failed'), 600);
});

/** A trace that becomes an exemplar after the backend has accepted it. */
const pointed = () => {
  const trace = traceOf();
  const { spanId } = trace.spans[0];
  return { ...trace, exemplars: [{ metric: 'm_seconds', labelValues: [], valueNs: 1e6, spanId }] };
};

for (const protocol of ['http/protobuf', 'http/json', 'grpc'] as const) {
  test(`if a request had rejected spans, none of its traces is known to have arrived, by ${protocol}`, async () => {
    const receiver = protocol === 'grpc' ? await startGrpcReceiver() : await receiverOf();
    if (protocol === 'grpc') started.push({ stop: () => receiver.close() });
    const answer = (rejectedSpans: number, errorMessage: string) => {
      const json = JSON.stringify({ partialSuccess: { rejectedSpans: String(rejectedSpans), errorMessage } });
      const body = tracePartialSuccess(rejectedSpans, errorMessage);
      receiver.answer = (
        protocol === 'grpc'
          ? { rejected: rejectedSpans, message: errorMessage }
          : { status: 200, body: protocol === 'http/json' ? Buffer.from(json) : body }
      ) as never;
    };
    const { traces, spans, counter, lines, stop } = pushTo(receiver.url, { protocol });
    const push = async (rejectedSpans: number, message: string) => {
      answer(rejectedSpans, message);
      const before = spans('exported') + spans('failed');
      traces.take([pointed(), pointed()]);
      await until(
        () => spans('exported') + spans('failed') === before + 4,
        () => 'each has an outcome',
      );
      return {
        traces: ['exported', 'failed'].map((o) => counter('ftrace_exporter_traces_total', 'syscalls', o)),
        spans: [spans('exported'), spans('failed')],
        requests: ['exported', 'failed'].map((o) =>
          counter('ftrace_exporter_otlp_exports_total', 'traces', o),
        ),
        rejected: counter('ftrace_exporter_otlp_rejected_total', 'traces'),
        exemplars: traces.exemplars.size(),
      };
    };
    assert.deepEqual(await push(2, 'too old'), {
      ...{ traces: [0, 2], spans: [0, 4], requests: [1, 0], rejected: 2, exemplars: 0 },
    });
    assert.match(lines[1], /rejected part of a push .*too old/);
    assert.deepEqual(await push(4, 'quota'), {
      ...{ traces: [0, 4], spans: [0, 8], requests: [1, 1], rejected: 2, exemplars: 0 },
    });
    assert.match(lines[2], /a push failed .*rejected everything: quota/);
    assert.deepEqual(await push(0, 'deprecated'), {
      ...{ traces: [2, 4], spans: [4, 8], requests: [2, 1], rejected: 2, exemplars: 1 },
    });
    // Impossible numbers: fewer than none, and more than were sent.
    assert.deepEqual(await push(-3, ''), {
      ...{ traces: [4, 4], spans: [8, 8], requests: [3, 1], rejected: 2, exemplars: 1 },
    });
    assert.deepEqual(await push(1000, 'quota'), {
      ...{ traces: [4, 6], spans: [8, 12], requests: [3, 2], rejected: 2, exemplars: 1 },
    });
    await stop(1000);
  });
}

for (const protocol of ['http/protobuf', 'http/json'] as const) {
  test(`a 200 that is no message is no proof that traces have arrived, by ${protocol}`, async () => {
    const receiver = await receiverOf();
    const { traces, spans, counter, stop } = pushTo(receiver.url, { protocol });
    for (const [i, body] of ['<html>hello', 'null', '\n<!DOCTYPE html>\n<title>Sign in</title>'].entries()) {
      receiver.answer = { status: 200, body };
      traces.take([pointed()]);
      await until(
        () => spans('exported') + spans('failed') === 2 * (i + 1),
        () => 'it has an outcome',
      );
    }
    assert.deepEqual([spans('exported'), spans('failed')], [0, 6]);
    assert.equal(counter('ftrace_exporter_otlp_exports_total', 'traces', 'failed'), 3);
    assert.equal(traces.exemplars.size(), 0);
    await stop(1000);
  });
}

test('exemplars point only at traces that have arrived', async () => {
  const receiver = await receiverOf();
  receiver.answer = { status: 400 };
  const { traces, spans, counter } = pushTo(receiver.url);
  traces.take([pointed()]);
  await until(
    () => spans('failed') === 2,
    () => 'it fails',
  );
  assert.equal(traces.exemplars.size(), 0);
  receiver.answer = { status: 200 };
  traces.take([pointed()]);
  await until(
    () => counter('ftrace_exporter_traces_total', 'syscalls', 'exported') === 1,
    () => 'it arrives',
  );
  assert.equal(traces.exemplars.size(), 1);
  assert.equal(traces.traceStore.slow(undefined, 10).last.length, 2, 'either is kept');
});
