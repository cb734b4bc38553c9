import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import { osnoise } from '../../../src/probes/osnoise.ts';
import { type Machine, run, TRACER_KERNELS } from './records.ts';

const RUNTIME = 'ftrace_osnoise_runtime_seconds_total';
const NOISE = 'ftrace_osnoise_noise_seconds_total';
const MAX = 'ftrace_osnoise_max_single_noise_seconds';
const INTERFERENCE = 'ftrace_osnoise_interference_seconds';
const SAMPLE = 'ftrace:osnoise';

function noise(options: Record<string, unknown> = {}, machine: Machine = {}) {
  const o = run(osnoise, { cpus: '1', ...options }, { kernel: '6.12-rt', ...machine });
  return {
    ...o,
    by: (source: string, cpu = '1') => o.durations(INTERFERENCE, source, cpu),
  };
}

for (const kernel of TRACER_KERNELS.filter((name) => name !== '5.10-rt')) {
  test(`${kernel}: run time and noise are counted in seconds from microseconds`, () => {
    const o = noise({}, { kernel });
    o.feed(SAMPLE, { ts: 1, cpu: 1, runtime: 20_000, noise: 7438, max_sample: 3286, hw_count: 58 });
    o.feed(SAMPLE, { ts: 2, cpu: 1, runtime: 20_000, noise: 2, max_sample: 1 });
    assert.equal(o.value(RUNTIME, '1'), 40_000_000);
    assert.equal(o.value(NOISE, '1'), 7_440_000);
    assert.equal(o.value(MAX, '1'), 3_286_000);
  });

  test(`${kernel}: interference is counted by source, in nanoseconds`, () => {
    const o = noise({}, { kernel });
    o.feed('osnoise:irq_noise', {
      ts: 1,
      cpu: 1,
      start: 5,
      duration: 113_232,
      desc: 'local_timer',
      vector: 236,
    });
    o.feed('osnoise:softirq_noise', { ts: 1, cpu: 1, duration: 10, vector: 1 });
    o.feed('osnoise:thread_noise', { ts: 1, cpu: 1, comm: 'ktimers/0', duration: 128_992, pid: 15 });
    o.feed('osnoise:nmi_noise', { ts: 1, cpu: 1, duration: 3 });
    o.feed('osnoise:sample_threshold', { ts: 1, cpu: 1, duration: 5500, interference: 0 });
    // A gap with causes is not counted, because each cause has its own event.
    o.feed('osnoise:sample_threshold', { ts: 1, cpu: 1, duration: 795_402, interference: 3 });
    assert.deepEqual(o.by('irq'), { count: 1, sum: 113_232 });
    assert.deepEqual(o.by('softirq'), { count: 1, sum: 10 });
    assert.deepEqual(o.by('thread'), { count: 1, sum: 128_992 });
    assert.deepEqual(o.by('nmi'), { count: 1, sum: 3 });
    assert.deepEqual(o.by('hw'), { count: 1, sum: 5500 });
  });
}

test('the CPUs it runs on start at 0, others do not exist', () => {
  const o = noise({ cpus: '1,9' });
  assert.equal(o.value(RUNTIME, '1'), 0);
  assert.equal(o.value(NOISE, '0'), undefined);
  assert.equal(o.value(RUNTIME, '9'), undefined);
  assert.deepEqual(o.by('hw'), { count: 0, sum: 0 });
  assert.equal(o.by('hw', '0'), undefined);
});

test('without its events there is still run time and noise', () => {
  const o = noise({}, { events: [SAMPLE] });
  assert.deepEqual(Object.keys(o.probe.handlers), [SAMPLE]);
  assert.equal(o.by('hw'), undefined);
});

test('the maximum is of the window', () => {
  const o = noise({}, { maxWindowMs: 1000 });
  o.store.rotate(0);
  o.feed(SAMPLE, { ts: 1, cpu: 1, max_sample: 50 });
  assert.equal(o.value(MAX, '1'), 50_000);
  o.store.rotate(1000);
  assert.equal(o.value(MAX, '1'), 50_000);
  o.store.rotate(1300);
  assert.ok(Number.isNaN(o.value(MAX, '1')));
});

test('the config', () => {
  const schema = osnoise.schema(schemaKit);
  assert.deepEqual(schema.safeParse({ enabled: true }).error?.issues[0].path, ['cpus']);
  assert.match(schema.safeParse({ enabled: true }).error?.issues[0].message ?? '', /list the CPUs.*spins/);
  assert.equal(schema.safeParse({ enabled: true, cpus: '0' }).success, true);
  const long = schema.safeParse({ cpus: '0', period: '1s', runtime: '2s' });
  assert.deepEqual(long.error?.issues[0].path, ['runtime']);
  assert.equal(schema.safeParse({ cpus: '0', period: '1s', runtime: '1s' }).success, true);
});

test('the request to the tracer', () => {
  const { parse } = osnoise.schema(schemaKit);
  const knobs = (section: object) =>
    osnoise.tracer?.(parse(section)).knobs.map(({ file, value }) => `${file}=${value}`);
  assert.deepEqual(knobs({ cpus: '1-3,5', period: '2s', runtime: '1500us' }), [
    'osnoise/cpus=1-3,5',
    'osnoise/runtime_us=1500',
    'osnoise/period_us=2000000',
    'osnoise/stop_tracing_us=0',
    'osnoise/stop_tracing_total_us=0',
  ]);
  assert.equal(knobs({ cpus: 1, threshold: '7us' })?.at(-1), 'tracing_thresh=7');
});
