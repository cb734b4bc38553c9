/**
 * Pushes snapshots to a backend in this process. Checks what the backend receives, what is counted and what is logged.
 */
import assert from 'node:assert/strict';
import { release } from 'node:os';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeOtlpMetrics } from '../../../src/agent/main/otlp-metrics.ts';
import type { PushSource } from '../../../src/export/otlp/push.ts';
import { openSdk } from '../../../src/export/otlp/sdk.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { Log } from '../../../src/model/log.ts';
import type { OtlpMetricsConfig, OtlpProtocol, PushCounts } from '../../../src/model/otlp.ts';
import { pointsOf } from '../../support/otlp.ts';
import {
  type HttpAnswer,
  partialSuccess,
  type Receiver,
  startGrpcReceiver,
  startHttpReceiver,
} from '../../support/otlp-receiver.ts';

const started: { stop(): Promise<unknown> }[] = [];
after(async () => {
  for (const one of started) await one.stop();
});

interface Push {
  start(source: PushSource): void;
  stop(withinMs: number): Promise<void>;
}

/** Pushes metrics with the SDK, as `run` does. */
function openPush(options: {
  config: OtlpMetricsConfig;
  resource: Parameters<typeof openSdk>[0]['resource'];
  counts: PushCounts;
  log: Log;
}): Push {
  const { config, resource, counts, log } = options;
  const sdk = openSdk({
    config: { metrics: config, resource: { team: 'a' } },
    resource,
    counts: () => counts,
    ended: () => {},
    log,
  });
  return {
    start: sdk.start,
    stop: async (withinMs) => {
      await Promise.race([sdk.collectLast(), sleep(withinMs, undefined, { ref: false })]);
      await sdk.stop(withinMs);
    },
  };
}

interface Pushing {
  push: Push;
  metrics: PushCounts;
  lines: string[];
  /** Values of the counters of exports, by outcome. */
  counted(): { exported: number; failed: number; rejected: number };
  /** Number of pushes that have begun. */
  begun(): number;
  count(n: number): void;
}

/** Pushes a counter `c_total` to a backend. */
function pushTo(
  url: string,
  config: Partial<OtlpMetricsConfig> & { protocol?: OtlpProtocol; timeoutMs?: number } = {},
  otherSeries = 0,
): Pushing {
  const { protocol = 'http/protobuf', timeoutMs = 10_000, ...more } = config;
  const lines: string[] = [];
  const log = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  const own = new MetricStore({ countsSeries: false });
  const metrics = makeOtlpMetrics(own, 'metrics');
  const push = openPush({
    config: {
      target: {
        protocol,
        url: protocol === 'grpc' ? url : `${url}/v1/metrics`,
        headers: {},
        timeoutMs,
        compression: 'none',
      },
      intervalMs: 100,
      exportTimeoutMs: 100,
      histograms: 'explicit_bucket_histogram',
      ...more,
    },
    resource: {
      version: '1.2.3',
      instance: 'test',
      hostName: 'node-1',
      hostId: undefined,
      env: { K8S_NODE_NAME: 'worker' },
    },
    counts: metrics,
    log: { debug() {}, info: log('info'), warn: log('warn'), error: log('error') },
  });
  const store = new MetricStore({ countsSeries: false });
  const counter = store.counter({ name: 'c_total', help: 'Counts.' });
  const slot = counter.slot([]);
  const others = store.counter({ name: 'others_total', help: '', labels: ['n'] });
  for (let n = 0; n < otherSeries; n++) others.slot([String(n)]);
  let begun = 0;
  push.start({
    scrape: async () => {
      begun++;
      return [store.snapshot(), own.snapshot()];
    },
    processMetrics: async () => [],
    constantLabels: { source: 'test' },
    startMs: Date.now(),
  });
  started.push({ stop: () => push.stop(100) });
  const countOf = (name: string, outcome?: string) => {
    const family = own.snapshot().families.find(({ spec }) => spec.name === name);
    assert.ok(family);
    return family.values[outcome === undefined ? 0 : family.labelValues.indexOf(outcome) >> 1];
  };
  return {
    push,
    metrics,
    lines,
    begun: () => begun,
    count: (n) => counter.add(slot, n),
    counted: () => ({
      exported: countOf('ftrace_exporter_otlp_exports_total', 'exported'),
      failed: countOf('ftrace_exporter_otlp_exports_total', 'failed'),
      rejected: countOf('ftrace_exporter_otlp_rejected_total'),
    }),
  };
}

async function receiverOf(port = 0): Promise<Receiver<HttpAnswer>> {
  const receiver = await startHttpReceiver({ port });
  started.push({ stop: () => receiver.close().catch(() => {}) });
  return receiver;
}

async function until(done: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!done()) {
    assert.ok(performance.now() < deadline, what);
    await sleep(10);
  }
}

for (const protocol of ['http/protobuf', 'http/json', 'grpc'] as const) {
  test(`metrics arrive, again and again, by ${protocol}`, async () => {
    const receiver = protocol === 'grpc' ? await startGrpcReceiver() : await receiverOf();
    const { push, count, counted, lines } = pushTo(receiver.url, {
      protocol,
      intervalMs: 1000,
      exportTimeoutMs: 1000,
    });
    count(3);
    const first = (await receiver.request(0)).pushed();
    count(4);
    const later = (await receiver.request(2)).pushed();
    await push.stop(5000);
    const [c, then] = [first, later].map((pushed) => pointsOf(pushed, 'c')[0]);
    assert.deepEqual([c.value, then.value], [3, 7]);
    assert.deepEqual(c.attributes, { source: 'test' });
    assert.ok(c.start <= c.time && c.time < then.time && c.start === then.start);
    assert.deepEqual(first.scope, { name: 'ftrace-exporter', version: '1.2.3' });
    const {
      'service.instance.id': id,
      'telemetry.sdk.version': sdk,
      'host.arch': arch,
      ...more
    } = first.resource;
    assert.ok(id && sdk && arch);
    // The SDK's detectors may add the machine's own id, because this resource has none.
    const { 'host.id': _, ...resource } = more;
    assert.deepEqual(resource, {
      'service.name': 'ftrace-exporter',
      'service.version': '1.2.3',
      'host.name': 'worker',
      'k8s.node.name': 'worker',
      'os.type': 'linux',
      'os.version': release(),
      team: 'a',
      'telemetry.sdk.language': 'nodejs',
      'telemetry.sdk.name': 'opentelemetry',
    });
    assert.equal(counted().exported, receiver.received.length);
    assert.equal(counted().failed, 0);
    const exports = pointsOf(later, 'ftrace_exporter_otlp_exports');
    assert.deepEqual(exports.map(({ attributes }) => attributes.outcome).sort(), ['exported', 'failed']);
    assert.deepEqual(lines, [
      `info pushing metrics over OTLP ${JSON.stringify({
        endpoint: `${receiver.url}${protocol === 'grpc' ? '/' : '/v1/metrics'}`,
        protocol,
        intervalMs: 1000,
      })}`,
    ]);
    if (protocol === 'grpc') await receiver.close();
  });
}

test('the last values are pushed at the end, whatever the interval', async () => {
  const receiver = await receiverOf();
  const { push, count } = pushTo(receiver.url, { intervalMs: 3_600_000, exportTimeoutMs: 5000 });
  count(41);
  await push.stop(5000);
  assert.equal(pointsOf(receiver.received[0].pushed(), 'c')[0].value, 41);
  assert.equal(receiver.received.length, 1);
  await until(() => receiver.connections() === 0, 'the connection is ended');
});

test('a backend that is killed and comes back: failures are counted and logged once, values are complete', async () => {
  const receiver = await receiverOf();
  const { count, counted, lines } = pushTo(receiver.url);
  count(1);
  await receiver.request(0);
  await receiver.close();
  await until(() => counted().failed >= 3, 'failures are counted');
  count(1);
  const again = await receiverOf(receiver.port);
  const request = await again.request(0);
  assert.equal(pointsOf(request.pushed(), 'c')[0].value, 2);
  await until(() => lines.length >= 3, 'the recovery is logged');
  assert.match(lines[1], /^warn OTLP: a push failed .*ECONN|^warn OTLP: a push failed .*hang up/);
  assert.match(lines[2], /^info OTLP: pushing works again/);
  assert.equal(lines.length, 3);
});

test('a temporary refusal is followed by another attempt within one push', async () => {
  const receiver = await receiverOf();
  receiver.answer = (n) => (n === 0 ? { status: 503 } : { status: 200 });
  const { push, counted } = pushTo(receiver.url, { intervalMs: 3000, exportTimeoutMs: 3000 });
  const [first, second] = [await receiver.request(0), await receiver.request(1)];
  assert.deepEqual(second.body, first.body);
  assert.ok(second.atMs - first.atMs >= 799, String(second.atMs - first.atMs));
  await until(() => counted().exported === 1, 'it is counted once');
  assert.equal(counted().failed, 0);
  await push.stop(5000);
});

test('429 with Retry-After: quiet until then, and every push in between counts as failed', async () => {
  const receiver = await receiverOf();
  receiver.answer = (n) => (n === 0 ? { status: 429, headers: { 'retry-after': '2' } } : { status: 200 });
  const { push, counted, lines, begun } = pushTo(receiver.url);
  const first = await receiver.request(0);
  const second = await receiver.request(1);
  const [pushes, { failed }] = [begun(), counted()];
  assert.ok(second.atMs - first.atMs >= 1990, String(second.atMs - first.atMs));
  assert.ok(pushes > 2, 'none was in between');
  // The last push may not have ended, and the failure of the one before may not have been counted.
  assert.ok(failed >= pushes - 2, `${failed} of ${pushes} have failed`);
  await push.stop(1000);
  assert.match(lines[1], /HTTP 429/);
});

test('a backend that hangs holds one connection and one request', async () => {
  const receiver = await receiverOf();
  receiver.answer = 'hang';
  const { push, counted, lines } = pushTo(receiver.url);
  await until(() => counted().failed >= 8, 'failures are counted');
  assert.ok(receiver.connections() <= 2, String(receiver.connections()));
  assert.match(lines[1], /no response within 0\.1 s/);
  receiver.answer = { status: 200 };
  await until(() => counted().exported > 0, 'it recovers');
  await push.stop(1000);
});

/** Times so long that, during a test, a push ends only when it is stopped. */
const FOR_EVER = { intervalMs: 3_600_000, exportTimeoutMs: 3_600_000, timeoutMs: 3_600_000 };
const TIMEOUT = { timeout: 60_000 };

test('at the end the agent waits for a hanging backend no longer than configured', TIMEOUT, async () => {
  const receiver = await receiverOf();
  receiver.answer = 'hang';
  const { push, counted, lines } = pushTo(receiver.url, FOR_EVER);
  await push.stop(400);
  await until(() => counted().failed === 1, 'it is counted');
  assert.ok(
    lines.some((line) => /the last push failed; its data is lost|no response before/.test(line)),
    lines.join(),
  );
  await until(() => receiver.connections() === 0, 'the connection is ended');
});

test('at the end the agent spends no time on a backend that is gone', TIMEOUT, async () => {
  const gone = await startHttpReceiver();
  await gone.close();
  const { push, counted } = pushTo(gone.url, FOR_EVER);
  await push.stop(3_600_000);
  assert.equal(counted().failed, 1);
});

test('points that a backend rejected are counted, in either encoding', async () => {
  for (const protocol of ['http/protobuf', 'http/json', 'grpc'] as const) {
    const receiver = protocol === 'grpc' ? await startGrpcReceiver() : await receiverOf();
    const json = JSON.stringify({ partialSuccess: { rejectedDataPoints: '3', errorMessage: 'too old' } });
    if (protocol === 'grpc') receiver.answer = { rejected: 3, message: 'too old' } as never;
    else {
      const body = protocol === 'http/json' ? json : partialSuccess(3, 'too old');
      receiver.answer = { status: 200, body } as never;
    }
    const { push, counted, lines } = pushTo(receiver.url, {
      protocol,
      intervalMs: 3_600_000,
      exportTimeoutMs: 5000,
    });
    await push.stop(5000);
    assert.deepEqual(counted(), { exported: 1, failed: 0, rejected: 3 });
    assert.match(lines[1], /rejected part of a push .*"reason":"too old","points":3/);
    if (protocol === 'grpc') await receiver.close();
  }
});

test('a backend that reports fewer than zero rejected points, or as many as it received or more', async () => {
  for (const [rejected, exported, protocol] of [
    [-5, 1, 'http/json'],
    [-5, 1, 'http/protobuf'],
    [4, 0, 'http/json'],
    [1e12, 0, 'http/json'],
  ] as const) {
    const receiver = await receiverOf();
    const json = { partialSuccess: { rejectedDataPoints: String(rejected), errorMessage: 'odd' } };
    const body = protocol === 'http/json' ? JSON.stringify(json) : partialSuccess(rejected, 'odd');
    receiver.answer = { status: 200, body };
    const { push, counted, lines } = pushTo(receiver.url, {
      protocol,
      intervalMs: 3_600_000,
      exportTimeoutMs: 5000,
    });
    await push.stop(5000);
    const sent = receiver.received[0].pushed().metrics.flatMap(({ points }) => points).length;
    assert.equal(sent, 4);
    assert.deepEqual(counted(), { exported, failed: 1 - exported, rejected: 0 });
    if (exported === 0) assert.match(lines[1], /a push failed .*rejected everything: odd/);
  }
});

for (const protocol of ['http/protobuf', 'http/json'] as const) {
  test(`a 200 that is no message is a failure, because something other than a backend answered, by ${protocol}`, async () => {
    const receiver = await receiverOf();
    for (const body of ['<html>hello', ...(protocol === 'http/json' ? ['null', ''] : [''])]) {
      receiver.answer = { status: 200, body };
      const { push, counted } = pushTo(receiver.url, {
        protocol,
        intervalMs: 3_600_000,
        exportTimeoutMs: 5000,
      });
      await push.stop(5000);
      const exported = body === '' ? 1 : 0;
      assert.deepEqual(counted(), { exported, failed: 1 - exported, rejected: 0 }, body);
    }
  });
}

test('a failed scrape is a failed push', async () => {
  const receiver = await receiverOf();
  const metrics = makeOtlpMetrics(new MetricStore({ countsSeries: false }), 'metrics');
  const lines: string[] = [];
  const push = openPush({
    config: {
      target: {
        protocol: 'http/protobuf',
        url: receiver.url,
        headers: {},
        timeoutMs: 100,
        compression: 'none',
      },
      intervalMs: 3_600_000,
      exportTimeoutMs: 1000,
      histograms: 'explicit_bucket_histogram',
    },
    resource: {
      version: '',
      instance: '',
      hostName: '',
      hostId: undefined,
      env: {},
    },
    counts: metrics,
    log: { debug() {}, info() {}, error() {}, warn: (fields) => lines.push(String(fields.reason)) },
  });
  push.start({
    scrape: async () => {
      throw new Error('no store');
    },
    processMetrics: async () => [],
    constantLabels: {},
    startMs: 0,
  });
  await push.stop(1000);
  assert.deepEqual(lines[0], 'no metrics: no store');
  assert.equal(receiver.received.length, 0);
});

test('all requests of a push share its time', async () => {
  const receiver = await receiverOf();
  const failedBefore: number[] = [];
  receiver.answer = () => {
    failedBefore.push(counted().failed);
    return 'hang';
  };
  const { push, counted } = pushTo(
    receiver.url,
    { intervalMs: 700, exportTimeoutMs: 600, timeoutMs: 400 },
    2500,
  );
  await until(() => counted().failed >= 3, 'all three have failed');
  // The first request uses its 400 ms, the second the rest of the 600 ms. The third has no time left and is not sent.
  const ofFirstPush = failedBefore.filter((failed) => failed < 3);
  assert.ok(ofFirstPush.length <= 2, `${failedBefore} had failed when they were sent`);
  await push.stop(100);
});

test('many points go in several requests, each series once', async () => {
  const receiver = await receiverOf();
  const metrics = makeOtlpMetrics(new MetricStore({ countsSeries: false }));
  const store = new MetricStore({ countsSeries: false });
  const counter = store.counter({ name: 'c_total', help: '', labels: ['n'] });
  for (let n = 0; n < 10_000; n++) counter.add(counter.slot([String(n)]), n);
  const push = openPush({
    config: {
      target: {
        protocol: 'http/protobuf',
        url: receiver.url,
        headers: {},
        timeoutMs: 9e3,
        compression: 'gzip',
      },
      intervalMs: 3_600_000,
      exportTimeoutMs: 9000,
      histograms: 'explicit_bucket_histogram',
    },
    resource: {
      version: '',
      instance: '',
      hostName: '',
      hostId: undefined,
      env: {},
    },
    counts: metrics,
    log: { debug() {}, info() {}, error() {}, warn() {} },
  });
  push.start({
    scrape: async () => [store.snapshot()],
    processMetrics: async () => [],
    constantLabels: {},
    startMs: 0,
  });
  await push.stop(9000);
  assert.equal(receiver.received.length, 10);
  const seen = receiver.received.flatMap((request) =>
    pointsOf(request.pushed(), 'c').map(({ attributes, value }) => [Number(attributes.n), value]),
  );
  assert.deepEqual(
    seen,
    Array.from({ length: 10_000 }, (_, n) => [n, n]),
  );
});
