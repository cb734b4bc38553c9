/** Hits that the kernel missed, from the profile of kprobes, and their effect on open pairs of the metric. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defineEvents } from '../../../src/agent/live/dynamic-events.ts';
import { planEvents } from '../../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { grouped, metricsSchema } from '../../../src/config/metrics.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { userMetric } from '../../../src/probes/declared/user-metric.ts';
import { fakeHost, knownEvents, loadFormat, makeRecord } from '../probes/records.ts';
import { fakeTracefs } from '../tracefs/fake.ts';

function metricOf(written: Record<string, unknown>) {
  const [{ name, options }] = metricsSchema([]).parse([{ help: 'A.', ...written }]);
  const ready = { ...options, metric: grouped(options.metric, 'agent') };
  return { module: userMetric(`metrics/${name}`, ready), options: ready };
}

const READ = metricOf({
  name: 'read_seconds',
  start: { kprobe: 'vfs_read' },
  end: { kretprobe: 'vfs_read' },
});
const line = (name: string, missed: number) =>
  `  ${name.padEnd(44)} ${'99'.padStart(15)} ${String(missed).padStart(15)}\n`;

test('grow by probe; events of others have the same name and other groups', (t) => {
  const root = fakeTracefs(t, { kprobe_events: '', kprobe_profile: '' });
  const { missed, refused } = defineEvents(root, 'agent', [READ]);
  assert.deepEqual([...refused], []);
  const groups = ['ftx_other', 'ftx_agent', 'ftx_agent'];
  const names = ['read_seconds_end', 'read_seconds_start', 'read_seconds_end'];
  const definitions = groups.map((group, i) => `p:${group}/${names[i]} vfs_read\n`).join('');
  writeFileSync(join(root, 'kprobe_events'), definitions);
  const profile = (...counts: number[]) =>
    writeFileSync(join(root, 'kprobe_profile'), counts.map((count, i) => line(names[i], count)).join(''));
  profile(70, 0, 0);
  assert.deepEqual([...missed()], []);
  profile(90, 1, 4);
  assert.deepEqual([...missed()], [['metrics/read_seconds', 5]]);
  profile(90, 1, 6);
  assert.deepEqual([...missed()], [['metrics/read_seconds', 2]]);
  assert.deepEqual([...missed()], []);
});

test('the profile is not read without kprobes', (t) => {
  const root = fakeTracefs(t, {});
  assert.deepEqual([...defineEvents(root, 'agent', []).missed()], []);
});

test('void the open pairs of their metric, and of no other', () => {
  const [BEGIN, END] = ['begin', 'end'].map((side) => `vmscan:mm_vmscan_direct_reclaim_${side}`);
  const store = new MetricStore();
  const plan = planEvents({
    enabled: ['a_seconds', 'b_seconds'].map((name) => metricOf({ name, start: BEGIN, end: END })),
    metadata: {
      ...{ clock: 'mono', machine: 'x86_64', kernelRelease: '', cpuCount: 2 },
      events: () => knownEvents(),
      formatText: (event) =>
        readFileSync(
          new URL(`../../fixtures/formats-6.18/${event.replace(':', '/')}`, import.meta.url),
          'utf8',
        ),
    },
    host: fakeHost,
    onlineCpus: [0],
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
  });
  const feed = (event: string, ts: number) => {
    const { slots, call } = plan.dispatcher;
    call(slots[loadFormat(event)?.id ?? -1], makeRecord(event, { ts, by: 7 }));
  };
  feed(BEGIN, 1000);
  plan.onLossOf('metrics/a_seconds', 1500);
  feed(END, 2000);
  const counts = store
    .snapshot()
    .families.flatMap(({ spec, histogram }) =>
      histogram?.counts.length === 1 ? [[spec.name, histogram.counts[0]]] : [],
    )
    .filter(([name]) => /_[ab]_seconds$/.test(String(name)));
  assert.deepEqual(counts, [
    ['ftrace_a_seconds', 0],
    ['ftrace_b_seconds', 1],
  ]);
});
