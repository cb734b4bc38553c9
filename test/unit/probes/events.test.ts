import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import type { KernelCountRequest } from '../../../src/model/kernel-count.ts';
import { events } from '../../../src/probes/events.ts';
import { fakeHost, run } from './records.ts';

const COUNT = 'ftrace_events_total';
const EXEC = 'sched:sched_process_exec';

test('named events are counted by CPU, and start at 0', () => {
  const e = run(events, { count: [EXEC, 'irq:softirq_*'] });
  assert.equal(e.value(COUNT, EXEC, '1'), 0);
  e.feed(EXEC, { ts: 1, cpu: 1 });
  e.feed(EXEC, { ts: 2, cpu: 1 });
  e.feed('irq:softirq_raise', { ts: 3, cpu: 3 });
  assert.equal(e.value(COUNT, EXEC, '1'), 2);
  assert.equal(e.value(COUNT, EXEC, '0'), 0);
  assert.equal(e.value(COUNT, 'irq:softirq_raise', '3'), 1);
  assert.equal(e.value(COUNT, 'irq:softirq_exit', '3'), undefined);
  assert.equal(Object.keys(e.probe.handlers).length, 4);
});

test("the agent's own events are left out, but not interrupts on top of its threads", () => {
  const e = run(events, { count: [EXEC] }, { self: [900] });
  e.feed(EXEC, { ts: 1, by: 900, flags: 0x01 });
  for (const flags of [0x08, 0x10, 0x40]) e.feed(EXEC, { ts: 2, by: 900, flags });
  e.feed(EXEC, { ts: 3, by: 7 });
  assert.equal(e.value(COUNT, EXEC, '0'), 4);
  assert.equal(e.ignored(), 1);
});

test('with many events, series appear when their event happens', () => {
  const e = run(events, { count: ['*:*'] });
  assert.equal(e.value(COUNT, EXEC, '0'), undefined);
  e.feed(EXEC, { ts: 1 });
  assert.equal(e.value(COUNT, EXEC, '0'), 1);
});

test('the kernel counts by CPU if it should, and no event is recorded', () => {
  const requests: KernelCountRequest[] = [];
  const e = run(
    events,
    { count: [EXEC], count_in: 'kernel' },
    {
      countInKernel: (request) => {
        requests.push(request);
        return { read: (visit) => visit([1n], 5), end: () => {} };
      },
    },
  );
  assert.deepEqual(requests, [{ event: EXEC, keys: ['common_cpu'], room: 4 }]);
  assert.deepEqual([Object.keys(e.probe.handlers), e.probe.counted], [[], [EXEC]]);
  assert.equal(e.value(COUNT, EXEC, '1'), 5);
  assert.equal(e.value(COUNT, EXEC, '0'), 0);
});

test('in a recording the agent counts, whatever count_in says', () => {
  const e = run(events, { count: [EXEC], count_in: 'kernel' });
  e.feed(EXEC, { ts: 1, cpu: 1 });
  assert.equal(e.value(COUNT, EXEC, '1'), 1);
});

test('above max_series events go to other', () => {
  const e = run(events, { count: ['sched:*'], max_series: 1 });
  e.feed(EXEC, { ts: 1 });
  e.feed('sched:sched_waking', { ts: 1 });
  assert.equal((e.value(COUNT, EXEC, '0') ?? 0) + (e.value(COUNT, 'other', '0') ?? 0), 2);
  assert.notEqual(e.value(COUNT, 'other', '0'), undefined);
});

test('it needs a list of what to count', () => {
  assert.deepEqual(events.schema(schemaKit).parse({}).count, []);
  const result = events.schema(schemaKit).safeParse({ enabled: true });
  assert.equal(result.success, false);
  assert.deepEqual(result.error?.issues[0].path, ['count']);
});

test('globs that match nothing leave nothing to trace', () => {
  const kernel = { events: () => [EXEC], machine: 'x86_64' };
  assert.deepEqual(events.needs(events.schema(schemaKit).parse({ count: ['none:*'] }), kernel, fakeHost), []);
});
