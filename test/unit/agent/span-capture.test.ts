/** Probes and helpers together: operations that the config does not count must have traces too. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type EnabledProbe, planEvents } from '../../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { openSpanCapture } from '../../../src/agent/slow/span-capture.ts';
import { schemaKit } from '../../../src/config/units.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { FIRST_CONTAINER } from '../../../src/model/containers.ts';
import type { SpansConfig } from '../../../src/model/span.ts';
import { block } from '../../../src/probes/block.ts';
import { locks } from '../../../src/probes/locks.ts';
import { memory } from '../../../src/probes/memory.ts';
import type { CommonOptions, HostFacts, ProbeModule } from '../../../src/probes/probe.ts';
import { sched } from '../../../src/probes/sched.ts';
import { syscalls } from '../../../src/probes/syscalls.ts';
import { seriesOf } from '../probes/dumps.ts';
import { fakeContainers } from '../probes/fake-containers.ts';
import { fakeHost, knownEvents, loadFormat, makeRecord, type RecordFields } from '../probes/records.ts';

const KERNEL = '6.18';
const FORMATS = new URL(`../../fixtures/formats-${KERNEL}/`, import.meta.url);

function probe<O extends CommonOptions>(module: ProbeModule<O>, section: object = {}): EnabledProbe {
  return { module, options: module.schema(schemaKit).parse(section) };
}

/** A capture with made-up events. */
function capture(kinds: SpansConfig['kinds'], enabled: readonly EnabledProbe[], host: HostFacts = fakeHost) {
  const store = new MetricStore();
  const spans = openSpanCapture({
    config: { maxTracesPerSecond: 1000, containers: false, topLevelMarkers: false, kinds },
    enabled,
    host,
    store,
    cpuCount: 2,
    isSelf: () => false,
  });
  const plan = planEvents({
    enabled: spans.probes,
    metadata: {
      clock: 'mono',
      machine: 'x86_64',
      kernelRelease: KERNEL,
      cpuCount: 2,
      events: () => knownEvents(KERNEL),
      formatText: (event) => {
        const file = new URL(event.replace(':', '/'), FORMATS);
        return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
      },
    },
    host,
    onlineCpus: [0, 1],
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
  });
  const feed = (event: string, fields: RecordFields): void => {
    const { slots, call } = plan.dispatcher;
    call(slots[loadFormat(event, KERNEL)?.id ?? -1], makeRecord(event, fields));
  };
  return {
    feed,
    store,
    take: spans.take,
    // Leave out the helper for markers, because no fixture has their format.
    helpers: plan.helpers.flatMap(({ name, up }) => (name === 'trace-markers' ? [] : [`${name} ${up}`])),
    status: () => spans.status(plan.helpers, plan.probes),
    /** Feeds a write to a disk, from issue to completion. */
    write: (disk: number, atNs: number, ns: number) => {
      const request = { dev: (8 << 20) | disk, sector: 2048, nr_sector: 8, rwbs: 'WS' };
      feed('block:block_rq_issue', { ts: atNs, ...request });
      feed('block:block_rq_complete', { ts: atNs + ns, ...request, error: 0 });
    },
  };
}

const BLOCK = { block: { thresholdNs: 1_000_000 } };
const devicesOf = ({ take }: ReturnType<typeof capture>) =>
  take().map(({ spans: [{ attributes }], exemplars }) => [
    attributes['system.device'],
    exemplars.map(({ labelValues }) => labelValues.join(' ')),
  ]);

test('a disk that the probe does not count has traces, without exemplars', () => {
  const limited = capture(BLOCK, [probe(block, { devices: ['disk1'] })]);
  assert.deepEqual(limited.helpers, ['block true']);
  limited.write(1, 1e9, 2e6);
  limited.write(2, 2e9, 3e6);
  limited.write(2, 3e9, 1000);
  assert.deepEqual(devicesOf(limited).sort(), [
    ['disk1', ['disk1 write']],
    ['disk2', []],
  ]);
  const counted = seriesOf(limited.store, 'ftrace_block_io_device_seconds');
  assert.deepEqual(
    [...counted].map(([labels, { value, sum }]) => [labels, value, sum || 0]),
    [
      ['disk1 read', 0, 0],
      ['disk1 write', 1, 2e6],
    ],
  );
  assert.deepEqual(limited.status(), [{ kind: 'block', up: true, reason: '' }]);
});

for (const devices of [['*'], ['sd*', '**']]) {
  test(`a probe of all disks needs no helper beside it: ${devices}`, () => {
    const all = capture(BLOCK, [probe(block, { devices })]);
    assert.deepEqual(all.helpers, []);
    all.write(2, 2e9, 3e6);
    assert.deepEqual(devicesOf(all), [['disk2', ['disk2 write']]]);
  });
}

test('an exemplar has the labels of the container, if the series has them', () => {
  const containers = fakeContainers([['shop', 'web-0', 'a'], undefined]);
  containers.table[1] = FIRST_CONTAINER;
  const split = capture(BLOCK, [probe(block, { per_container: true })], { ...fakeHost, containers });
  split.write(2, 2e9, 3e6);
  assert.deepEqual(devicesOf(split), [['disk2', ['disk2 write shop web-0 a']]]);
  containers.table[1] = FIRST_CONTAINER + 1;
  split.write(2, 3e9, 3e6);
  assert.deepEqual(devicesOf(split), [['disk2', []]], 'its name is not known yet');
});

test('without the probe all disks have traces, and no metrics', () => {
  const helped = capture(BLOCK, []);
  assert.deepEqual(helped.helpers, ['block true']);
  helped.write(2, 2e9, 3e6);
  assert.deepEqual(devicesOf(helped), [['disk2', []]]);
  assert.ok(
    !helped.store.snapshot().families.some(({ spec }) => spec.name.startsWith('ftrace_block')),
    'a helper counts nothing',
  );
});

test('a call that the probe does not count has a trace, without an exemplar', () => {
  const both = capture({ syscalls: { thresholdNs: 1_000_000, include: ['fsync', 'read'] } }, [
    probe(syscalls, { include: ['read'] }),
  ]);
  const call = (id: number, atNs: number): void => {
    both.feed('raw_syscalls:sys_enter', { ts: atNs, by: 7, id });
    both.feed('raw_syscalls:sys_exit', { ts: atNs + 2e6, by: 7, id, ret: 0 });
  };
  call(0, 1e9);
  call(74, 2e9);
  const traces = both.take().map(({ spans: [{ name }], exemplars }) => [name, exemplars.length]);
  assert.deepEqual(traces.sort(), [
    ['syscall fsync', 0],
    ['syscall read', 1],
  ]);
});

test('a wait that the probe measures from another moment has a trace, without an exemplar', () => {
  const exemplars = (from: string): string[] => {
    const waits = capture({ sched: { thresholdNs: 1_000_000 } }, [probe(sched, { from })]);
    waits.feed('sched:sched_wakeup', { ts: 1e9, pid: 7, target_cpu: 0 });
    waits.feed('sched:sched_switch', { ts: 1e9 + 2e6, prev_pid: 8, prev_state: 1, next_pid: 7 });
    const [trace] = waits.take();
    return trace.exemplars.flatMap(({ labelValues }) => labelValues);
  };
  // The tasks have priority 0, so their class is `rt`.
  assert.deepEqual(['wakeup', 'waking'].map(exemplars), [['rt'], []]);
});

test('a wait has an exemplar without a container, as in the histogram', () => {
  const containers = fakeContainers([['shop', 'web-0', 'a']]);
  const waits = capture({ sched: { thresholdNs: 1_000_000 } }, [probe(sched, { per_container: true })], {
    ...fakeHost,
    containers,
  });
  waits.feed('sched:sched_wakeup', { ts: 1e9, pid: 7, target_cpu: 0 });
  waits.feed('sched:sched_switch', { ts: 1e9 + 2e6, prev_pid: 8, prev_state: 1, next_pid: 7 });
  const [trace] = waits.take();
  assert.deepEqual(
    trace.exemplars.map(({ labelValues }) => labelValues),
    [['rt']],
  );
});

test('a probe without calls that wait by nature needs no helper, unless the kind names them', () => {
  const host: HostFacts = {
    ...fakeHost,
    syscallIds: () => [...fakeHost.syscallIds(), 202],
    syscallName: (id) => (id === 202 ? 'futex' : fakeHost.syscallName(id)),
  };
  const helpers = (include?: string[]) =>
    capture({ syscalls: { thresholdNs: 1e6, include } }, [probe(syscalls, { exclude: ['futex'] })], host)
      .helpers;
  assert.ok(!helpers().includes('syscalls true'));
  assert.ok(helpers(['futex', 'read']).includes('syscalls true'));
});

const RECLAIM = 'vmscan:mm_vmscan_direct_reclaim';

test('what declared metrics measure of a task is part of its slow calls, and a trace of its own', () => {
  const both = capture(
    {
      syscalls: { thresholdNs: 1e6, include: ['read'] },
      metrics: { thresholdNs: 1e6, include: ['memory_*'] },
    },
    [probe(memory)],
  );
  const at = (ts: number) => ({ ts: 1e9 + ts, by: 7 });
  both.feed('raw_syscalls:sys_enter', { ...at(0), id: 0 });
  both.feed(`${RECLAIM}_begin`, at(1e6));
  both.feed(`${RECLAIM}_end`, at(3e6));
  both.feed('vmscan:mm_vmscan_throttled', { ...at(4.5e6), usec_delayed: 1100, reason: 1 });
  both.feed(`${RECLAIM}_begin`, at(4.51e6));
  both.feed(`${RECLAIM}_end`, at(4.52e6));
  both.feed('raw_syscalls:sys_exit', { ...at(5e6), id: 0, ret: 0 });
  const names = both
    .take()
    .map(({ spans }) => spans.map(({ name, durationNs }) => `${name} ${durationNs / 1e6}`));
  assert.deepEqual(names.sort(), [
    ['memory_reclaim 2'],
    ['memory_reclaim_throttled 1.1'],
    ['syscall read 5', 'memory_reclaim 2', 'memory_reclaim_throttled 1.1'],
  ]);
  assert.deepEqual(both.status()[1], { kind: 'metrics', up: true, reason: '' });
});

test('the kind metrics is off if nothing measures what it names', () => {
  const kinds = (include: string[]) => ({ metrics: { thresholdNs: 1e6, include } });
  const status = (include: string[], ...enabled: EnabledProbe[]) => {
    const [{ up, reason }] = capture(kinds(include), enabled).status();
    return up ? 'up' : reason;
  };
  assert.equal(status(['lock_*'], probe(locks)), 'up');
  const wrong = 'no enabled metric that measures times of tasks is named';
  assert.equal(status(['lock_*'], probe(memory)), `${wrong} lock_*`);
  // The time that kswapd is awake belongs to a memory node, not to a task.
  assert.equal(status(['memory_kswapd_*', 'x'], probe(memory)), `${wrong} memory_kswapd_* or x`);
});
