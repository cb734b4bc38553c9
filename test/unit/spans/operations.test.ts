/** Operations that declared metrics measure: as spans in slow calls, and as their own traces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DeclaredMetric } from '../../../src/model/declared-metric.ts';
import type { Operation } from '../../../src/model/intervals.ts';
import type { SpansConfig, TraceRecord } from '../../../src/model/span.ts';
import { makeSpans } from '../../../src/spans/spans.ts';
import { problemsOf, testDeps } from './deps.ts';
import { config, D, NO_COMM, PID, request, S, switchIn, US } from './intervals.ts';

const START = 1e9;
const at = (us: number) => START + us * US;

/** A metric of pairs by task or, with `taskTime`, of a time in a single event. */
function metric(name: string, label: string, taskTime?: DeclaredMetric['taskTime']): DeclaredMetric {
  return {
    ...{ name: `ftrace_${name}_seconds`, help: '', kind: 'histogram', nested: 'replace' },
    ...(taskTime && { taskTime }),
    event: { event: 'a:b' },
    key: [],
    labels: [{ name: label, of: 'end', field: label }],
  };
}
const RECLAIM = metric('memory_reclaim', 'kind');
const LOCK = metric('lock_contention', 'type');
const PAUSE = metric('memory_dirty_throttled', 'device', 'spends');

function operation(from: number, to: number, more: Partial<Operation> = {}): Operation {
  const ofReclaim = { metric: RECLAIM, values: ['direct'], pid: PID, cpu: 0 };
  return { ...ofReclaim, startNs: at(from), endNs: at(to), ...more };
}

const CALLS = { syscalls: { thresholdNs: 1, include: ['*'] } };

/** A call of 80 ms, in which the thread sleeps from 10 to 30 ms, for unknown reasons, and waits for the CPU for 1 ms. */
function call(operations: readonly Operation[], kinds: SpansConfig['kinds'] = CALLS): TraceRecord[] {
  const spans = makeSpans(config(kinds), testDeps(), 0);
  const { tasks, syscalls, operations: sink } = spans.sinks;
  syscalls?.watch(() => START);
  const sleep = { outNs: at(10_000), runnableNs: at(30_000), inNs: at(31_000), state: S, wokenBy: 0 };
  tasks?.switchedIn(switchIn(sleep), NO_COMM, 0);
  for (const one of operations) if (one.endNs - one.startNs >= (sink?.thresholdNs ?? 0)) sink?.ended(one);
  syscalls?.ended('write', PID, 0, START, at(80_000), 1);
  const traces = spans.take(1000);
  for (const trace of traces) assert.deepEqual(problemsOf(trace), []);
  return traces;
}

/** Names of spans with their depth, and durations in µs. */
function tree({ spans }: TraceRecord): string[] {
  const depth = new Map<string, number>([['', -1]]);
  return spans.map(({ name, spanId, parentSpanId, durationNs }) => {
    const own = (depth.get(parentSpanId) ?? -1) + 1;
    depth.set(spanId, own);
    return `${'  '.repeat(own)}${name} ${durationNs / US}`;
  });
}

test('an operation contains what its thread went through meanwhile, and explains the rest of its time', () => {
  const [plain] = call([]);
  const [{ spans }] = call([operation(5_000, 40_000)]);
  assert.deepEqual(tree({ spans } as TraceRecord), [
    'syscall write 80000',
    '  memory_reclaim 35000',
    '    blocked 20000',
    '    runqueue wait 1000',
  ]);
  assert.equal(spans[1].attributes['ftrace.metric'], 'ftrace_memory_reclaim_seconds');
  assert.equal(spans[1].attributes['ftrace.label.kind'], 'direct');
  assert.equal(plain.spans[0].attributes['ftrace.summary'], '80.0 ms: 59.0 ms running, 21.0 ms not known');
  assert.equal(
    spans[0].attributes['ftrace.summary'],
    '80.0 ms: 45.0 ms running, 35.0 ms memory_reclaim direct',
  );
  assert.equal(spans[0].attributes['ftrace.explained_ratio'], 1);
});

test('operations nest; those of other tasks, of other times, and short ones are not in the call', () => {
  const lock = { metric: LOCK, values: ['mutex'] };
  const [trace] = call([
    operation(42_000, 42_040),
    operation(6_000, 7_000, lock),
    operation(9_000, 35_000, lock),
    operation(5_000, 40_000),
    operation(50_000, 60_000, { pid: PID + 1 }),
    operation(-5_000, 3_000),
  ]);
  assert.deepEqual(tree(trace), [
    'syscall write 80000',
    '  memory_reclaim 35000',
    '    lock_contention 1000',
    '    lock_contention 26000',
    '      blocked 20000',
    '      runqueue wait 1000',
  ]);
  assert.equal(
    trace.spans[0].attributes['ftrace.summary'],
    '80.0 ms: 45.0 ms running, 27.0 ms lock_contention mutex, 8.0 ms memory_reclaim direct',
  );
});

test('a pause that was announced lasts until the sleep after it ends', () => {
  const [trace] = call([operation(9_990, 28_000, { metric: PAUSE })]);
  assert.deepEqual(tree(trace).slice(1), [
    '  memory_dirty_throttled 20010',
    '    blocked 20000',
    '  runqueue wait 1000',
  ]);
});

test('operations that overlap others in part are left out and counted', () => {
  const [trace] = call([operation(5_000, 20_000), operation(50_000, 60_000), operation(55_000, 65_000)]);
  assert.deepEqual(tree(trace).slice(1), [
    '  blocked 20000',
    '  runqueue wait 1000',
    '  memory_reclaim 10000',
  ]);
  assert.equal(trace.spans[0].attributes['ftrace.children.pruned'], 2);
});

test('the kind metrics makes traces of the metrics that it names', () => {
  const slow = operation(5_000, 40_000);
  const lock = operation(5_000, 70_000, { metric: LOCK, values: ['mutex'] });
  const named = { thresholdNs: 20_000 * US, include: ['memory_*'] };
  const [trace, ...others] = call([slow, lock, operation(0, 19_000)], { metrics: named });
  assert.deepEqual(others, []);
  assert.deepEqual(tree(trace), ['memory_reclaim 35000']);
  assert.equal(trace.kind, 'metrics');
  assert.equal(call([slow, lock], { metrics: { thresholdNs: 1 } }).length, 2);
});

test('whatever the thread does, children lie within their parents and no time is explained twice', () => {
  const step = fc.record({
    run: fc.integer({ min: 60, max: 900 }),
    sleep: fc.integer({ min: 1, max: 5_000 }),
    before: fc.integer({ min: 0, max: 300 }),
  });
  const steps = fc.array(step, { minLength: 1, maxLength: 30 });
  const ofSteps = fc.array(fc.tuple(fc.nat(99), fc.nat(99), fc.nat(50), fc.nat(50), fc.boolean()), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(steps, ofSteps, (way, operations) => {
      const spans = makeSpans(config(CALLS), testDeps(), 0);
      const { tasks, syscalls, block, operations: sink } = spans.sinks;
      syscalls?.watch(() => START);
      let us = 0;
      const ran = way.map(({ run, sleep, before }) => {
        const [from, out, runnable] = [us, us + run, us + run + sleep];
        block?.ended(request({ issueNs: at(out - before), completeNs: at(runnable) }));
        us = runnable + 40;
        const back = { outNs: at(out), runnableNs: at(runnable), inNs: at(us), state: D };
        tasks?.switchedIn(switchIn(back), NO_COMM, 0);
        return { from, out };
      });
      // An operation of a thread begins and ends while the thread is running.
      for (const [a, b, early, late, isAnnounced] of operations) {
        const [first, last] = [ran[a % ran.length], ran[b % ran.length]];
        const [from, to] = [first.from + early, last.from + late];
        if (to > from) sink?.ended(operation(from, to, isAnnounced ? { metric: PAUSE } : {}));
      }
      syscalls?.ended('write', PID, 0, START, at(us + 10), 1);
      const [trace] = spans.take(1000);
      assert.deepEqual(problemsOf(trace), []);
      // Waits for a CPU have no explanation, unless they are within an operation.
      const [root, ...below] = trace.spans;
      const waits = below.filter(
        ({ name, parentSpanId }) => name === 'runqueue wait' && parentSpanId === root.spanId,
      );
      const unknownNs = waits.reduce((sum, { durationNs }) => sum + durationNs, 0);
      const ratio = 1 - unknownNs / root.durationNs;
      const explained = root.attributes['ftrace.explained_ratio'] as number;
      // Requests that were issued before a sleep can make the sum up to 1 % too large.
      assert.ok(explained > ratio - 1e-3 && explained < ratio + 0.011, `${explained}, not ${ratio}`);
    }),
  );
});
