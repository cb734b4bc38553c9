/** Traces of calls in which a thread runs, sleeps and waits at random. The test reports to the sinks as probes do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TraceRecord } from '../../../src/model/span.ts';
import { makeSpans } from '../../../src/spans/spans.ts';
import { problemsOf, testDeps } from './deps.ts';
import { comm, config, D, NO_COMM, PID, request, S, switchIn, US } from './intervals.ts';

interface Step {
  /** Times in microseconds: first the thread runs, then it sleeps, then it waits for the CPU. */
  run: number;
  sleep: number;
  wait: number;
  state: number;
  /** Requests: how long before the sleep they were issued, and after which part of the sleep (0 to 1) they complete. */
  requests: { before: number; done: number }[];
}

const steps = fc.array(
  fc.record({
    run: fc.integer({ min: 0, max: 500 }),
    sleep: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 50_000 })),
    wait: fc.integer({ min: 1, max: 5_000 }),
    state: fc.constantFrom(S, D),
    requests: fc.array(
      fc.record({
        before: fc.integer({ min: -40_000, max: 400 }),
        done: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      { maxLength: 4 },
    ),
  }),
  { maxLength: 80 },
);

interface Way {
  traces: TraceRecord[];
  offNs: number;
  runNs: number;
}

function walk(way: readonly Step[]): Way {
  const spans = makeSpans(config({ syscalls: { thresholdNs: 1, include: ['*'] } }), testDeps(), 0);
  const { tasks, block, syscalls } = spans.sinks;
  const startNs = 1e9;
  let nowNs = startNs;
  let offNs = 0;
  syscalls?.watch(() => startNs);
  for (const { run, sleep, wait, state, requests } of way) {
    nowNs += run * US;
    const outNs = nowNs;
    const runnableNs = outNs + sleep * US;
    const done = requests
      .map(({ before, done: part }) => ({
        issueNs: outNs - before * US,
        completeNs: outNs + Math.floor(sleep * US * part),
      }))
      .filter((r) => r.issueNs <= r.completeNs);
    done.sort((a, b) => a.completeNs - b.completeNs);
    for (const times of done) block?.ended(request(times));
    nowNs = runnableNs + wait * US;
    offNs += nowNs - outNs;
    tasks?.switchedIn(
      switchIn({ outNs, runnableNs, inNs: nowNs, state: sleep === 0 ? 0 : state }),
      NO_COMM,
      0,
    );
  }
  nowNs += 10 * US;
  syscalls?.ended('fsync', PID, 0, startNs, nowNs, 0);
  return { traces: spans.take(1000), offNs, runNs: nowNs - startNs - offNs };
}

test('children lie within their parent, do not overlap, and add up to the whole with the time on the CPU', () => {
  fc.assert(
    fc.property(steps, (way) => {
      const { traces, runNs } = walk(way);
      assert.equal(traces.length, 1);
      const [trace] = traces;
      assert.deepEqual(problemsOf(trace), []);
      const [root] = trace.spans;
      const onCpuNs = Math.round((root.attributes['ftrace.time.on_cpu'] as number) * 1e9);
      assert.equal(onCpuNs, runNs);
      if (root.attributes['ftrace.children.pruned'] !== undefined) return;
      const children = trace.spans.filter(({ parentSpanId }) => parentSpanId === root.spanId);
      const sum = children.reduce((ns, child) => ns + child.durationNs, onCpuNs);
      // Requests that were issued before a sleep make its span longer, by at most 1 % of the call.
      assert.ok(sum >= root.durationNs && sum <= root.durationNs * 1.01, `${sum} of ${root.durationNs}`);
    }),
  );
});

test('a request within a sleep is shown from its issue to its completion', () => {
  const { traces } = walk([
    { run: 50, sleep: 10_000, wait: 5, state: D, requests: [{ before: 20, done: 0.99 }] },
  ]);
  const io = traces[0].spans.find(({ name }) => name === 'block write');
  assert.equal(io?.durationNs, 20 * US + 9_900 * US);
  assert.equal(io?.attributes['system.device'], 'sda');
});

test('if requests were overwritten by others, the trace is marked as incomplete', () => {
  const incomplete = (others: number): unknown => {
    const spans = makeSpans(config({ syscalls: { thresholdNs: 1, include: ['*'] } }), testDeps(), 0);
    const startNs = 1e9;
    for (let i = 1; i <= others; i++)
      spans.sinks.block?.ended(request({ pid: 555, issueNs: startNs, completeNs: startNs + i * US, cpu: 3 }));
    spans.sinks.syscalls?.ended('fsync', PID, 0, startNs, startNs + 80_000 * US, 0);
    return spans.take(1000)[0].spans[0].attributes['ftrace.incomplete'];
  };
  assert.deepEqual([incomplete(16_000), incomplete(20_000)], [undefined, true]);
});

test('an interrupt between issue and sleep is not shown beside the sleep that begins at the issue', () => {
  const spans = makeSpans(config({ syscalls: { thresholdNs: 1, include: ['*'] } }), testDeps(), 0);
  const startNs = 1e9;
  const at = (us: number) => startNs + us * US;
  spans.sinks.tasks?.switchedIn(
    switchIn({ outNs: at(5), runnableNs: at(6), inNs: at(7), state: S }),
    NO_COMM,
    0,
  );
  spans.sinks.interrupts?.ended('irq', 'timer', 0, at(9_800), at(9_900));
  spans.sinks.block?.ended(request({ issueNs: at(9_700), completeNs: at(69_900) }));
  spans.sinks.tasks?.switchedIn(
    switchIn({ outNs: at(10_000), runnableNs: at(70_000), inNs: at(70_010) }),
    NO_COMM,
    0,
  );
  spans.sinks.syscalls?.ended('fsync', PID, 0, startNs, at(80_000), 0);
  const [trace] = spans.take(1000);
  assert.deepEqual(problemsOf(trace), []);
  assert.ok(trace.spans.some(({ name, start }) => name === 'blocked' && start[1] === 9_700 * US));
});

test('a call looks back over the absences of its own thread, with others of similar numbers between them', () => {
  const spans = makeSpans(config({ syscalls: { thresholdNs: 1, include: ['*'] } }), testDeps(), 0);
  const { tasks, syscalls } = spans.sinks;
  const startNs = 1e9;
  const back = (pid: number, us: number) => {
    const outNs = startNs + us * US;
    const times = { outNs, runnableNs: outNs + 2 * US, inNs: outNs + 3 * US };
    tasks?.switchedIn(switchIn({ pid, ...times }), comm(`task${pid}`), 0);
  };
  back(PID, -100);
  const calls = 3;
  for (let i = 0; i < 30; i++)
    for (const pid of [PID, PID + 4096, PID + 1]) if (i < calls || pid !== PID) back(pid, 10 * i + (pid % 3));
  syscalls?.ended('fsync', PID, 0, startNs, startNs + 1000 * US, 0);
  const [trace] = spans.take(1000);
  assert.equal(trace.spans.filter(({ name }) => name === 'blocked').length, calls);
  assert.equal(trace.spans[0].attributes['thread.name'], `task${PID}`);
  assert.equal(trace.spans[0].attributes['ftrace.incomplete'], undefined);
  for (let i = 0; i < 1 << 15; i++) back(PID + 1, 2000 + i);
  syscalls?.ended('fsync', PID, 0, startNs, startNs + 1e9, 0);
  assert.equal(spans.take(2000)[0].spans[0].attributes['ftrace.incomplete'], true);
});

test('the task that ran while it waited is named, by all its turns together', () => {
  const spans = makeSpans(config({ sched: { thresholdNs: 1000 * US } }), testDeps(), 0);
  const { tasks } = spans.sinks;
  const startNs = 1e9;
  // A hog is running, interrupted now and then by a short task.
  for (let i = 0; i < 10; i++) {
    const at = startNs + i * 1000 * US;
    tasks?.ran(0, 7, at, at + 900 * US, comm('hog'), 0);
    tasks?.ran(0, 8, at + 900 * US, at + 1000 * US, comm('short'), 0);
  }
  const runnableNs = startNs + 500 * US;
  tasks?.switchedIn(switchIn({ runnableNs, inNs: startNs + 10_000 * US, state: 0 }), comm('waiter'), 0);
  const [
    {
      spans: [wait],
    },
  ] = spans.take(1000);
  assert.equal(wait.name, 'runqueue wait');
  assert.equal(wait.durationNs, 9_500 * US);
  assert.deepEqual(
    [wait.attributes['ftrace.ran_instead.thread.id'], wait.attributes['ftrace.ran_instead.thread.name']],
    [7, 'hog'],
  );
  assert.equal(wait.attributes['ftrace.ran_instead.time'], (8_500 * US) / 1e9);
  assert.equal(wait.attributes['thread.name'], 'waiter');
});

test('unless it is named, a call counts without the time it slept for others', () => {
  const made = (include: string[] | undefined, state: number): number => {
    const kind = { thresholdNs: 1000 * US, ...(include ? { include } : {}) };
    const spans = makeSpans(config({ syscalls: kind }), testDeps(), 0);
    const { tasks, syscalls } = spans.sinks;
    const startNs = 1e9;
    const endNs = startNs + 5000 * US;
    const times = { outNs: startNs + 10, runnableNs: endNs - 50, inNs: endNs - 10 };
    tasks?.switchedIn(switchIn({ ...times, state }), NO_COMM, 0);
    syscalls?.ended('read', PID, 0, startNs, endNs, 1);
    return spans.take(1000).length;
  };
  assert.deepEqual([made(undefined, S), made(undefined, D), made(['read'], S)], [0, 1, 1]);
  const spans = makeSpans(config({ syscalls: { thresholdNs: 1 } }), testDeps(), 0);
  assert.deepEqual(
    ['futex', 'epoll_wait', 'fsync', 'read'].map((name) => spans.sinks.syscalls?.wants(name)),
    [false, false, true, true],
  );
});

test('among calls that nobody named, time slept for others does not make a slower one', () => {
  const slowest = (include: string[] | undefined): [name: string, weightNs: number][] => {
    const kind = { thresholdNs: 10_000 * US, ...(include ? { include } : {}) };
    // The limit allows one trace, which must be that of the slower call.
    const limited = { ...config({ syscalls: kind }), maxTracesPerSecond: 0.5 };
    const spans = makeSpans(limited, testDeps(), 0);
    const { tasks, syscalls } = spans.sinks;
    const outNs = 1e9;
    const runnableNs = outNs + 60e9;
    const inNs = runnableNs + 11_000 * US;
    tasks?.switchedIn(switchIn({ outNs, runnableNs, inNs, state: S }), NO_COMM, 0);
    syscalls?.ended('read', PID, 0, outNs, inNs, 1);
    tasks?.switchedIn(
      switchIn({ pid: 200, outNs, runnableNs: outNs + 9e9, inNs: outNs + 9e9, state: D }),
      NO_COMM,
      0,
    );
    syscalls?.ended('fsync', 200, 0, outNs, outNs + 9e9, 0);
    return spans.take(0).map(({ spans: [root], weightNs }) => [root.name, weightNs]);
  };
  assert.deepEqual(slowest(undefined), [['syscall fsync', 9e9]]);
  assert.deepEqual(slowest(['*']), [['syscall read', 60e9 + 11_000 * US]]);
});

test('a failed call has the name of its errno as the error', () => {
  const spans = makeSpans(config({ syscalls: { thresholdNs: 1, include: ['*'] } }), testDeps(), 0);
  for (const ret of [-28, -4095, 5, Number.NaN])
    spans.sinks.syscalls?.ended('write', PID, 0, 1e9, 1e9 + 1000, ret);
  assert.deepEqual(
    spans.take(1000).map(({ spans: [root] }) => root.error),
    ['ENOSPC', '4095', undefined, undefined],
  );
});

test('a task whose return no event shows was asleep all the same, and the trace is marked as incomplete', () => {
  const spans = makeSpans(config({ syscalls: { thresholdNs: 1, include: ['futex'] } }), testDeps(), 0);
  const { tasks, syscalls } = spans.sinks;
  const startNs = 1e9;
  const endNs = startNs + 230_000 * US;
  tasks?.watch((pid, cpu, nowNs) => {
    const times = { outNs: startNs + 10, runnableNs: 0, inNs: nowNs };
    tasks.switchedIn(switchIn({ ...times, pid, cpu, isSeen: false, state: S }), NO_COMM, 0);
  });
  syscalls?.ended('futex', PID, 1, startNs, endNs, 0);
  const [
    {
      spans: [root, sleep],
    },
  ] = spans.take(1000);
  assert.deepEqual([sleep.name, sleep.durationNs], ['blocked', endNs - startNs - 10]);
  assert.equal(root.attributes['ftrace.incomplete'], true);
  assert.equal(root.attributes['ftrace.time.blocked'], (endNs - startNs - 10) / 1e9);
});

test('facts about a task are looked up when its call ends, not when the second does', () => {
  let isGone = false;
  const deps = testDeps({
    taskFacts: () => ({ attributes: {}, resource: isGone ? {} : { 'container.id': 'c1' } }),
  });
  const spans = makeSpans(config({ syscalls: { thresholdNs: 1 * US, include: ['fsync'] } }), deps, 0);
  spans.sinks.syscalls?.ended('fsync', PID, 0, 1000, 1000 + 50 * US, 0);
  isGone = true;
  assert.deepEqual(
    spans.take(1000).map(({ resource }) => resource),
    [{ 'container.id': 'c1' }],
  );
});
