import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { schemaKit } from '../../../src/config/units.ts';
import type { FunctionNames } from '../../../src/model/function-names.ts';
import { functionGraph } from '../../../src/probes/function-graph.ts';
import { loadFormat, type Machine, run, TRACER_KERNELS } from './records.ts';

const DURATION = 'ftrace_function_duration_seconds';
const EVENT = 'ftrace:funcgraph_exit';
const FUNC = 0xffffffff91a36564n;

const functions: FunctionNames = {
  generation: 1,
  nameOf: (low, high) => (high === -1 ? `f${(low >>> 0).toString(16)}` : undefined),
};

function graph(options: Record<string, unknown> = {}, machine: Machine = {}) {
  const g = run(
    functionGraph,
    { unfiltered: true, ...options },
    { kernel: '6.12-rt', functions, ...machine },
  );
  return {
    ...g,
    exit: (calltime: number | bigint, rettime: number | bigint, more: Record<string, number | bigint> = {}) =>
      g.feed(EVENT, { ts: 5, func: FUNC, calltime, rettime, ...more }),
    of: (name = 'f91a36564', cpu = '0') => g.durations(DURATION, name, cpu),
  };
}

for (const kernel of TRACER_KERNELS) {
  test(`${kernel}: the time from call to return, by function and CPU`, () => {
    const g = graph({}, { kernel });
    g.exit(1_000_000, 1_000_450);
    // The next two are nested calls of one function, so the inner one returns first.
    g.exit(1_000_100, 1_000_200);
    g.exit(1_000_000, 1_000_300);
    g.exit(2n ** 40n - 10n, 2n ** 40n + 15n, { cpu: 2 });
    assert.deepEqual(g.of(), { count: 3, sum: 850 });
    assert.deepEqual(g.of('f91a36564', '2'), { count: 1, sum: 25 });
    assert.equal(g.of('f91a36564', '1'), undefined);
    assert.deepEqual(g.unmatched, {});
  });

  test(`${kernel}: overrun lies where the format says`, () => {
    const g = graph({}, { kernel });
    g.exit(10, 20, { by: 7, overrun: 3 });
    assert.deepEqual(g.unmatched, { too_deep: 3 });
    assert.deepEqual(g.of(), { count: 1, sum: 10 });
  });
}

test('the layouts differ, so the tests above prove something', () => {
  const offsets = TRACER_KERNELS.map(
    (kernel) => loadFormat(EVENT, kernel)?.fields.find(({ name }) => name === 'calltime')?.offset,
  );
  assert.deepEqual(offsets, [28, 28, 24, 24]);
});

test("overrun counts a task's losses since it was first traced: only the growth counts", () => {
  const g = graph();
  for (const overrun of [0, 3, 3, 5]) g.exit(10, 20, { by: 7, overrun });
  g.exit(10, 20, { by: 8, overrun: 4 });
  assert.equal(g.unmatched.too_deep, 9);
  // The pid now belongs to another task, whose count starts at 0.
  g.exit(10, 20, { by: 7, overrun: 1 });
  assert.equal(g.unmatched.too_deep, 10);
  // A nonsensical value must not make the probe loop for a long time.
  g.exit(10, 20, { by: 9, overrun: 0xffffffff });
  assert.equal(g.unmatched.too_deep, 10 + 0xffffffff);
});

test('idle tasks of several CPUs have separate counts', () => {
  const g = graph();
  for (let i = 0; i < 10; i++)
    for (const [cpu, overrun] of [
      [0, 5],
      [1, 3],
    ])
      g.exit(10, 20, { by: 0, cpu, overrun });
  assert.equal(g.unmatched.too_deep, 8);
});

test('negative and absurd times are not recorded but counted', () => {
  const g = graph();
  g.exit(20, 10);
  g.exit(2n ** 40n, 2n ** 40n - 1n);
  g.exit(0, 2n ** 63n);
  g.exit(2n ** 64n - 1n, 5);
  assert.equal(g.of(), undefined);
  assert.deepEqual(g.unmatched, { late: 4 });
  g.exit(7, 7);
  assert.deepEqual(g.of(), { count: 1, sum: 0 });
});

test('any two stamps give their exact difference', () => {
  const stamp = fc.bigInt({ min: 0n, max: 2n ** 62n });
  fc.assert(
    fc.property(stamp, fc.bigInt({ min: 0n, max: 2n ** 52n }), (from, length) => {
      const g = graph();
      g.exit(from, from + length);
      assert.deepEqual(g.of(), { count: 1, sum: Number(length) });
    }),
    { numRuns: 50 },
  );
});

test('without per_cpu the CPUs share a series', () => {
  const g = graph({ per_cpu: false });
  g.exit(10, 20, { cpu: 1 });
  g.exit(10, 30, { cpu: 3 });
  assert.deepEqual(g.durations(DURATION, 'f91a36564'), { count: 2, sum: 30 });
});

test('functions above max_series share other; unknown ones have their own series', () => {
  const g = graph({ max_series: 1 });
  g.exit(0, 1);
  g.exit(0, 2, { func: 0xffffffff91a36664n });
  g.exit(0, 4, { func: 5n });
  assert.deepEqual(g.of(), { count: 1, sum: 1 });
  assert.deepEqual(g.of('other'), { count: 1, sum: 2 });
  assert.deepEqual(g.of('unknown'), { count: 1, sum: 4 });
  assert.equal(g.value('ftrace_exporter_series_overflow_total', DURATION), 1);
});

test("calls by the agent's threads are left out, but not in interrupts on top of them", () => {
  const g = graph({}, { self: [900] });
  g.exit(0, 1, { by: 900, overrun: 2 });
  g.exit(0, 1, { by: 900, flags: 0x08 });
  assert.deepEqual(g.of(), { count: 1, sum: 1 });
  assert.equal(g.ignored(), 1);
  assert.deepEqual(g.unmatched, {});
});

test('names that come later are seen after a sweep', () => {
  const changing = { generation: 1, name: undefined as string | undefined, nameOf: () => changing.name };
  const g = graph({}, { functions: changing });
  g.exit(0, 1);
  changing.name = 'late';
  changing.generation++;
  g.probe.sweep?.();
  g.exit(0, 1);
  assert.deepEqual(g.of('late'), { count: 1, sum: 1 });
});

test('the request to the tracer', () => {
  const schema = functionGraph.schema(schemaKit);
  assert.equal(schema.parse({}).max_depth, 1);
  assert.equal(schema.safeParse({ enabled: true }).success, false);
  assert.equal(schema.safeParse({ max_depth: -1 }).success, false);
  const request = functionGraph.tracer?.(schema.parse({ functions: ['do_sys_openat2'], max_depth: 3 }));
  assert.equal(request?.where, 'prefer_instance');
  assert.deepEqual(request?.functions, {
    functions: ['do_sys_openat2'],
    notrace: [],
    pids: [],
    maxDepth: 3,
  });
  assert.equal(request?.options['sleep-time'], '1');
  assert.equal(request?.options['funcgraph-retval'], '0');
});
