/** Which tasks have traces: by name, container and class. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KindOptions } from '../../../src/model/span.ts';
import { BATCH, IDLE, NORMAL, REALTIME } from '../../../src/model/task-classes.ts';
import { makeSpans } from '../../../src/spans/spans.ts';
import { testDeps } from './deps.ts';
import { comm, config, MS, request, switchIn } from './intervals.ts';

const CLASSES = new Map([
  [1, NORMAL],
  [2, BATCH],
  [3, IDLE],
  [4, REALTIME],
]);

/** Pids of the tasks that have traces, and the number of operations without a trace. */
function traced(kind: 'sched' | 'syscalls' | 'block', options: Partial<KindOptions>) {
  const deps = testDeps({
    taskClass: (pid) => CLASSES.get(pid) ?? NORMAL,
    taskFacts: (pid) => ({
      attributes: { 'process.executable.name': pid === 2 ? 'postgres' : 'sh' },
      resource: pid === 3 ? { 'container.id': 'c0ffee', 'k8s.pod.uid': 'pod-3' } : {},
    }),
  });
  const spans = makeSpans(config({ [kind]: { thresholdNs: 1, include: ['*'], ...options } }), deps, 0);
  const { tasks, syscalls, block } = spans.sinks;
  for (const pid of CLASSES.keys()) {
    const times = { pid, runnableNs: 1e9, inNs: 1e9 + 5 * MS, outNs: 1e9 };
    tasks?.switchedIn(
      switchIn({ ...times, taskClass: pid === 4 ? REALTIME : NORMAL }),
      comm(`task${pid}`),
      0,
    );
    syscalls?.ended('fsync', pid, 0, 1e9, 1e9 + 9 * MS, 0);
    block?.ended(request({ pid, issueNs: 1e9, completeNs: 1e9 + MS }));
  }
  const pids = spans.take(1000).map(({ spans: [{ attributes }] }) => {
    return attributes['ftrace.thread.id'] ?? attributes['ftrace.block.thread.id'];
  });
  return { pids: pids.map(Number).sort(), filtered: deps.traces.get(`${kind} filtered`) ?? 0 };
}

for (const kind of ['sched', 'syscalls'] as const) {
  test(`${kind}: threads and programs by name`, () => {
    const pids = (options: Partial<KindOptions>) => traced(kind, options).pids;
    assert.deepEqual(pids({}), [1, 2, 3, 4]);
    assert.deepEqual(pids({ processes: ['task1', 'post*'] }), [1, 2]);
    assert.deepEqual(pids({ excludeProcesses: ['post*', 'task4'] }), [1, 3]);
    assert.deepEqual(pids({ processes: ['sh'], excludeProcesses: ['task1'] }), [3, 4]);
  });

  test(`${kind}: classes, and what is left out is counted`, () => {
    assert.deepEqual(traced(kind, { classes: ['normal', 'rt'] }), { pids: [1, 4], filtered: 2 });
    assert.deepEqual(traced(kind, { classes: ['idle'] }), { pids: [3], filtered: 3 });
  });
}

test('containers by id or pod', () => {
  assert.deepEqual(traced('sched', { containers: ['c0*'] }).pids, [3]);
  assert.deepEqual(traced('sched', { containers: ['pod-3'] }).pids, [3]);
  assert.deepEqual(traced('sched', { excludeContainers: ['c0*'] }).pids, [1, 2, 4]);
});

test('requests by the program of their task', () => {
  assert.deepEqual(traced('block', { processes: ['postgres'] }), { pids: [2], filtered: 3 });
  assert.deepEqual(traced('block', { classes: ['batch'] }).pids, [2]);
});
