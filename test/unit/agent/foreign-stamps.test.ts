/** If a recording's timestamps are not times, only durations in records and those of the agent may be exported. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { withoutDurations } from '../../../src/agent/replay/foreign-stamps.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { sched } from '../../../src/probes/sched.ts';
import { timerlat } from '../../../src/probes/timerlat.ts';
import { declared } from '../probes/declared.ts';
import { run } from '../probes/records.ts';

const namesIn = (store: MetricStore) =>
  withoutDurations(store.snapshot().families).map(({ spec }) => spec.name);

test('differences of stamps go, counts stay', () => {
  const names = namesIn(run(sched).store);
  assert.ok(names.includes('ftrace_sched_switches_total'));
  assert.deepEqual(
    names.filter((name) => name.startsWith('ftrace_sched_') && name.includes('seconds')),
    [],
  );
});

test('times that a tracer measured stay', () => {
  const { store } = run(timerlat, { cpus: '0' }, { kernel: '6.12-rt' });
  const names = namesIn(store).filter((name) => !name.startsWith('ftrace_exporter_'));
  assert.deepEqual(names, ['ftrace_timerlat_latency_seconds', 'ftrace_timerlat_max_latency_seconds']);
});

test('of declared metrics, those of a field stay', () => {
  const field = {
    name: 'delay_seconds',
    event: 'vmscan:mm_vmscan_throttled',
    value: { field: 'usec_delayed', unit: 'us' },
  };
  assert.ok(namesIn(declared(field).store).includes('ftrace_delay_seconds'));
  const pair = { name: 'pair_seconds', start: 'sched:sched_wakeup', end: 'sched:sched_switch' };
  const { store } = declared(pair);
  assert.ok(store.snapshot().families.some(({ spec }) => spec.name === 'ftrace_pair_seconds'));
  assert.ok(!namesIn(store).includes('ftrace_pair_seconds'));
});

test("the agent's own times stay", () => {
  const store = new MetricStore();
  makeSelfMetrics(store, { maxWindowMs: 120_000, recordingNs: 150 });
  const names = store.snapshot().families.map(({ spec }) => spec.name);
  assert.deepEqual(namesIn(store), names);
});
