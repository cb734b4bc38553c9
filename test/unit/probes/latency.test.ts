import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { LATENCY_TRACERS } from '../../../src/model/tracer.ts';
import { latencyProbe } from '../../../src/probes/latency.ts';
import { fakeHost, run } from './records.ts';

const MAX = 'ftrace_latency_tracer_max_seconds';
const RECORDS = 'ftrace_latency_tracer_records_total';

for (const tracer of LATENCY_TRACERS) {
  test(`${tracer}: records are counted, the longest of the window is shown`, () => {
    const l = run(latencyProbe(tracer), {}, { maxWindowMs: 1000 });
    assert.equal(l.value(RECORDS, tracer), 0);
    assert.ok(Number.isNaN(l.value(MAX, tracer)));
    l.store.rotate(0);
    l.probe.onLatency?.(5000, '');
    l.probe.onLatency?.(7000, '');
    l.probe.onLatency?.(6000, '');
    assert.equal(l.value(RECORDS, tracer), 3);
    assert.equal(l.value(MAX, tracer), 7000);
    l.store.rotate(5000);
    assert.ok(Number.isNaN(l.value(MAX, tracer)));
  });

  test(`${tracer}: functions are traced only on request`, () => {
    const { schema, tracer: request, needs } = latencyProbe(tracer);
    const options = schema(schemaKit).parse({});
    assert.deepEqual(request?.(options), {
      tracer,
      where: 'instance',
      reads: 'latency',
      options: { 'function-trace': '0', 'display-graph': '0' },
      knobs: [],
    });
    assert.equal(request?.(schema(schemaKit).parse({ functions: true })).options['function-trace'], '1');
    assert.deepEqual(needs(options, { events: () => [], machine: 'x86_64' }, fakeHost), []);
  });
}

test('several of them share the families of a store', () => {
  const store = new MetricStore();
  const [a, b] = (['wakeup', 'irqsoff'] as const).map((name) => run(latencyProbe(name), {}, { store }));
  a.probe.onLatency?.(1, '');
  b.probe.onLatency?.(2, '');
  assert.equal(a.value(MAX, 'wakeup'), 1);
  assert.equal(a.value(MAX, 'irqsoff'), 2);
});
