import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import { timerlat } from '../../../src/probes/timerlat.ts';
import { type Machine, run, TRACER_KERNELS } from './records.ts';

const LATENCY = 'ftrace_timerlat_latency_seconds';
const MAX = 'ftrace_timerlat_max_latency_seconds';
const SAMPLE = 'ftrace:timerlat';

const lateness = (options: Record<string, unknown> = {}, machine: Machine = {}) =>
  run(timerlat, { cpus: '0-1', ...options }, { kernel: '6.12-rt', ...machine });

for (const kernel of TRACER_KERNELS.filter((name) => name !== '5.10-rt')) {
  test(`${kernel}: latencies by CPU and context, and the longest`, () => {
    const t = lateness({}, { kernel });
    t.feed(SAMPLE, { ts: 1, cpu: 0, seqnum: 1, context: 0, timer_latency: 167_700 });
    t.feed(SAMPLE, { ts: 1, cpu: 0, seqnum: 1, context: 1, timer_latency: 417_489 });
    t.feed(SAMPLE, { ts: 1, cpu: 0, seqnum: 2, context: 0, timer_latency: 49_434 });
    t.feed(SAMPLE, { ts: 1, cpu: 1, seqnum: 1, context: 2, timer_latency: 2n ** 32n + 1n });
    assert.deepEqual(t.durations(LATENCY, 'irq', '0'), { count: 2, sum: 217_134 });
    assert.deepEqual(t.durations(LATENCY, 'thread', '0'), { count: 1, sum: 417_489 });
    assert.deepEqual(t.durations(LATENCY, 'user', '1'), { count: 1, sum: 2 ** 32 + 1 });
    assert.equal(t.value(MAX, '0', 'irq'), 167_700);
    assert.equal(t.value(MAX, '0', 'thread'), 417_489);
    assert.equal(t.value(MAX, '1', 'user'), 2 ** 32 + 1);
    assert.equal(t.value(MAX, '1', 'irq'), undefined);
  });
}

test('interrupt and thread start at 0 on the configured CPUs, user when there is one', () => {
  const t = lateness({ cpus: 1 });
  assert.deepEqual(t.durations(LATENCY, 'irq', '1'), { count: 0, sum: 0 });
  assert.deepEqual(t.durations(LATENCY, 'thread', '1'), { count: 0, sum: 0 });
  assert.equal(t.durations(LATENCY, 'user', '1'), undefined);
  assert.equal(t.durations(LATENCY, 'irq', '0'), undefined);
});

test('a context that no kernel has is none of the known ones', () => {
  const t = lateness();
  for (const context of [3, 17, -1]) t.feed(SAMPLE, { ts: 1, context, timer_latency: 5 });
  assert.deepEqual(t.durations(LATENCY, 'other', '0'), { count: 3, sum: 15 });
});

test('without per_cpu the CPUs share the histogram; the longest stays by CPU', () => {
  const t = lateness({ per_cpu: false });
  t.feed(SAMPLE, { ts: 1, cpu: 0, context: 0, timer_latency: 5 });
  t.feed(SAMPLE, { ts: 1, cpu: 1, context: 0, timer_latency: 6 });
  assert.deepEqual(t.durations(LATENCY, 'irq'), { count: 2, sum: 11 });
  assert.equal(t.value(MAX, '1', 'irq'), 6);
});

test('the config, and the request to the tracer', () => {
  const schema = timerlat.schema(schemaKit);
  assert.match(schema.safeParse({ enabled: true }).error?.issues[0].message ?? '', /FIFO 95/);
  assert.equal(schema.safeParse({ period: '50us' }).success, false);
  assert.equal(schema.safeParse({ period: '2s' }).success, false);
  const knobs = (section: object) =>
    timerlat.tracer?.(schema.parse(section)).knobs.map(({ file, value }) => `${file}=${value}`);
  assert.deepEqual(knobs({ cpus: '2-3' }), [
    'osnoise/cpus=2-3',
    'osnoise/timerlat_period_us=1000',
    'osnoise/stop_tracing_us=0',
    'osnoise/stop_tracing_total_us=0',
  ]);
  assert.deepEqual(knobs({ cpus: 0, period: '250us', stop_irq: '40us', stop_thread: '1ms' })?.slice(1), [
    'osnoise/timerlat_period_us=250',
    'osnoise/stop_tracing_us=40',
    'osnoise/stop_tracing_total_us=1000',
  ]);
});
