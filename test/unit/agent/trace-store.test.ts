/** Which traces the agent keeps as the slowest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeTraceStore } from '../../../src/agent/main/trace-store.ts';
import { makeSpans } from '../../../src/spans/spans.ts';
import { traceOf } from '../../support/otlp-traces.ts';
import { testDeps } from '../spans/deps.ts';

const MS = 1e6;
const DEVICE = {
  device: 'sda',
  operation: 'write',
  bytes: 4096,
  sector: 8,
  pid: 1,
  issueCpu: 0,
  issuer: 1,
  cpu: 1,
};
const REQUEST = { ...DEVICE, insertNs: 0, issueNs: 1e9, completer: 0, errno: 0 };

test('of periods of osnoise the noisiest are the slowest, and they do not displace slower operations', () => {
  const threshold = { thresholdNs: 1 };
  const kinds = { osnoise: threshold, block: threshold };
  const spans = makeSpans({ maxTracesPerSecond: 100, containers: false, kinds }, testDeps(), 0);
  const store = makeTraceStore({ kinds });
  const noisesMs = [0.2, 7, 0.1, 90, 0.3];
  // Noisier periods are shorter here, so that noise and duration give different orders.
  for (const noiseMs of noisesMs)
    spans.sinks.osnoise?.period(0, 2e9, (110 - noiseMs) * MS, noiseMs * MS, noiseMs * MS);
  spans.sinks.block?.ended({ ...REQUEST, completeNs: 1e9 + 50 * MS });
  store.add(spans.take(1000));
  const noises = (limit: number) =>
    store.slow('osnoise', limit).slowest.map(({ spans: [root] }) => root.attributes['ftrace.osnoise.noise']);
  assert.deepEqual(noises(9), [0.09, 0.007, 0.0003, 0.0002, 0.0001]);
  assert.deepEqual(noises(1), [0.09]);
  assert.deepEqual(
    store.slow(undefined, 3).slowest.map(({ kind }) => kind),
    ['osnoise', 'block', 'osnoise'],
  );
});

test('roots are those of all traces that are kept now', () => {
  const clock = { ms: 0 };
  const config = { kinds: { syscalls: { thresholdNs: 1 } } };
  const store = makeTraceStore(config, { traces: 2, spans: 99, keptMs: 1000 }, () => clock.ms);
  const traces = [9, 1, 2, 3].map((durationNs) => traceOf('syscalls', { durationNs }));
  const [slow, , fast, newest] = traces;
  const expected = (...some: (typeof traces)[number][]) =>
    some.map(({ spans: [root] }) => root.spanId).sort();
  store.add(traces.slice(0, 3));
  assert.deepEqual([...store.roots()].sort(), expected(...traces.slice(0, 3)));
  store.add([newest]);
  assert.deepEqual([...store.roots()].sort(), expected(slow, fast, newest));
  assert.equal(store.roots(), store.roots(), 'made once');
  clock.ms = 1001;
  assert.deepEqual([...store.roots()].sort(), expected(fast, newest));
});

test('without a kind each kind has a fair share of the lists', () => {
  const threshold = { thresholdNs: 1 };
  const store = makeTraceStore({ kinds: { syscalls: threshold, sched: threshold, block: threshold } });
  for (let i = 1; i <= 20; i++) store.add([traceOf('sched', { durationNs: 1000 * MS + i })]);
  for (let i = 1; i <= 20; i++) store.add([traceOf('syscalls', { durationNs: MS + i })]);
  store.add([traceOf('block', { durationNs: 5 * MS })]);
  const { last, slowest } = store.slow(undefined, 9);
  const counts = (traces: typeof last) =>
    ['syscalls', 'sched', 'block'].map((wanted) => traces.filter(({ kind }) => kind === wanted).length);
  assert.deepEqual(counts(slowest), [4, 4, 1]);
  assert.deepEqual(counts(last), [4, 4, 1]);
  const weights = slowest.map(({ weightNs }) => weightNs);
  assert.deepEqual(
    weights,
    [...weights].sort((a, b) => b - a),
  );
  assert.deepEqual(counts(store.slow('block', 9).slowest), [0, 0, 1]);
});
