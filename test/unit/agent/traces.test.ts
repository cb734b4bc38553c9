/** Traces without a backend: exemplars must refer to traces that the agent still keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeTraces } from '../../../src/agent/main/traces.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { TraceRecord } from '../../../src/model/span.ts';
import { traceOf } from '../../support/otlp-traces.ts';

const NAME = 'ftrace_syscall_duration_seconds';
const CONFIG = { maxTracesPerSecond: 50, containers: false, kinds: { syscalls: { thresholdNs: 1 } } };
const MS = 1e6;

function setUp() {
  const store = new MetricStore();
  const bounds = [0.001, 0.003, 0.01, 0.1];
  const histogram = store.histogram({ name: NAME, help: 'H.', labels: ['syscall'], bounds });
  histogram.record(histogram.slot(['fsync']), 5);
  const traces = makeTraces(new MetricStore({ countsSeries: false }), CONFIG, false);
  const renderer = createRenderer({ exemplars: traces.exemplars });
  const pointedAt = () => {
    const text = renderer.render([store.snapshot()], 'openmetrics').toString();
    return [...text.matchAll(/trace_id="(\w+)",span_id="(\w+)"/g)].map(([, ...ids]) => ids.join());
  };
  return { traces, pointedAt };
}

function traceOfMs(ms: number, more: Partial<TraceRecord> = {}): TraceRecord {
  const trace = traceOf('syscalls', { durationNs: ms * MS, ...more });
  const [{ spanId, durationNs }] = trace.spans;
  return { ...trace, exemplars: [{ metric: NAME, labelValues: ['fsync'], valueNs: durationNs, spanId }] };
}

const idsOf = ({ traceId, spans }: TraceRecord) => `${traceId},${spans[0].spanId}`;

test('an exemplar goes when its trace is no longer kept, whether or not it was rendered meanwhile', () => {
  for (const rendered of [true, false]) {
    const { traces, pointedAt } = setUp();
    const [short, long] = [traceOfMs(2), traceOfMs(90)];
    traces.take([short, long]);
    if (rendered) assert.deepEqual(pointedAt(), [idsOf(short), idsOf(long)]);
    const later = Array.from({ length: 198 }, (_, i) => traceOfMs(5 + (i % 3)));
    traces.take(later);
    const { last, slowest } = traces.traceStore.slow('syscalls', 100);
    assert.ok(![...last, ...slowest].includes(short));
    assert.ok(!last.includes(long) && slowest.includes(long));
    assert.deepEqual(pointedAt(), [idsOf(later[197]), idsOf(long)]);
    assert.equal(traces.exemplars.size(), 1);
  }
});

test("in an application's trace each operation counts by itself, and a series without one has no entry", () => {
  const { traces, pointedAt } = setUp();
  const traceId = 'ab'.repeat(16);
  const [gone, there] = [traceOfMs(2, { traceId }), traceOfMs(90, { traceId })];
  const silent = (ms: number) =>
    Array.from({ length: 100 }, () => traceOf('syscalls', { durationNs: ms * MS }));
  traces.take([gone, there]);
  assert.deepEqual(pointedAt(), [idsOf(gone), idsOf(there)]);
  traces.take(silent(5));
  assert.deepEqual(pointedAt(), [idsOf(there)]);
  traces.take(silent(100));
  assert.deepEqual(pointedAt(), []);
  assert.equal(traces.exemplars.size(), 0);
});
