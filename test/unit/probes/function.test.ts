import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import type { FunctionNames } from '../../../src/model/function-names.ts';
import { functionCalls } from '../../../src/probes/function.ts';
import { type Machine, run, TRACER_KERNELS } from './records.ts';

const CALLS = 'ftrace_function_calls_total';
const EVENT = 'ftrace:function';
const READ = 0xffffffff91a36564n;
const WRITE = 0xffffffff91a36a10n;

const functions: FunctionNames = {
  generation: 1,
  nameOf: (low, high) => {
    const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    return new Map([
      [READ, 'vfs_read'],
      [WRITE, 'vfs_write'],
    ]).get(address);
  },
};

function calls(options: Record<string, unknown> = {}, machine: Machine = {}) {
  return run(functionCalls, { unfiltered: true, ...options }, { kernel: '6.12-rt', functions, ...machine });
}

for (const kernel of TRACER_KERNELS) {
  test(`${kernel}: calls are counted by function and CPU`, () => {
    const f = calls({}, { kernel });
    for (const [ip, cpu] of [
      [READ, 0],
      [READ, 0],
      [WRITE, 0],
      [READ, 3],
    ] as const) {
      f.feed(EVENT, { ts: 1, cpu, ip, parent_ip: 1n });
    }
    assert.equal(f.value(CALLS, 'vfs_read', '0'), 2);
    assert.equal(f.value(CALLS, 'vfs_write', '0'), 1);
    assert.equal(f.value(CALLS, 'vfs_read', '3'), 1);
    assert.equal(f.value(CALLS, 'vfs_write', '3'), undefined);
  });
}

test('addresses without a name count as unknown, and take no place of max_series', () => {
  const f = calls({ max_series: 1 });
  f.feed(EVENT, { ts: 1, ip: 0xdeadn });
  f.feed(EVENT, { ts: 1, ip: READ });
  f.feed(EVENT, { ts: 1, ip: WRITE });
  assert.equal(f.value(CALLS, 'unknown', '0'), 1);
  assert.equal(f.value(CALLS, 'vfs_read', '0'), 1);
  assert.equal(f.value(CALLS, 'vfs_write', '0'), undefined);
  assert.equal(f.value(CALLS, 'other', '0'), 1);
  assert.equal(f.value('ftrace_exporter_series_overflow_total', CALLS), 1);
});

test("calls by the agent's threads are left out, but not in interrupts on top of them", () => {
  const f = calls({}, { self: [900] });
  f.feed(EVENT, { ts: 1, ip: READ, by: 900, flags: 0x01 });
  for (const flags of [0x08, 0x10, 0x40]) f.feed(EVENT, { ts: 1, ip: READ, by: 900, flags });
  f.feed(EVENT, { ts: 1, ip: READ, by: 901 });
  assert.equal(f.value(CALLS, 'vfs_read', '0'), 4);
  assert.equal(f.ignored(), 1);
});

test('names that come later are seen after a sweep', () => {
  const changing = { generation: 1, name: undefined as string | undefined, nameOf: () => changing.name };
  const f = calls({}, { functions: changing });
  f.feed(EVENT, { ts: 1, ip: READ });
  changing.name = 'late';
  changing.generation++;
  f.probe.sweep?.();
  f.feed(EVENT, { ts: 1, ip: READ });
  assert.equal(f.value(CALLS, 'unknown', '0'), 1);
  assert.equal(f.value(CALLS, 'late', '0'), 1);
});

test('a function whose module is removed loses its series, and its place, after five minutes', () => {
  const loaded = new Map([[READ, 'mod_read']]);
  const modules = {
    generation: 1,
    nameOf: (low: number, high: number) => loaded.get((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)),
    missing: (names: Iterable<string>) => [...names].filter((name) => ![...loaded.values()].includes(name)),
  };
  const f = calls({ max_series: 1 }, { functions: modules });
  const sweep = (seconds: number) => {
    for (let i = 0; i < seconds; i++) f.probe.sweep?.();
  };
  f.feed(EVENT, { ts: 1, ip: READ });
  loaded.delete(READ);
  modules.generation++;
  sweep(200);
  loaded.set(READ, 'mod_read');
  modules.generation++;
  sweep(200);
  assert.equal(f.value(CALLS, 'mod_read', '0'), 1, 'it has come back');
  loaded.delete(READ);
  modules.generation++;
  sweep(300);
  assert.equal(f.value(CALLS, 'mod_read', '0'), 1);
  sweep(1);
  assert.equal(f.value(CALLS, 'mod_read', '0'), undefined);
  loaded.set(WRITE, 'other_write');
  modules.generation++;
  sweep(1);
  f.feed(EVENT, { ts: 1, ip: WRITE });
  assert.equal(f.value(CALLS, 'other_write', '0'), 1, 'it has the place');
  loaded.set(READ, 'mod_read');
  modules.generation++;
  sweep(1);
  f.feed(EVENT, { ts: 1, ip: READ });
  assert.equal(f.value(CALLS, 'mod_read', '0'), undefined);
  assert.equal(f.value(CALLS, 'other', '0'), 1);
});

test('a 32-bit kernel has addresses of one word', () => {
  const format = `name: function
ID: 1
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:unsigned long ip;	offset:8;	size:4;	signed:0;
	field:unsigned long parent_ip;	offset:12;	size:4;	signed:0;

print fmt: " %ps <-- %ps", (void *)REC->ip, (void *)REC->parent_ip
`;
  const narrow: FunctionNames = {
    generation: 1,
    nameOf: (low, high) => (high === 0 && low >>> 0 === 0xc0008010 ? 'vfs_read' : undefined),
  };
  const f = calls({}, { formats: { [EVENT]: format }, functions: narrow });
  f.feed(EVENT, { ts: 1, ip: 0xc0008010, parent_ip: 0xc0009999 });
  assert.equal(f.value(CALLS, 'vfs_read', '0'), 1);
});

test('the whole kernel is traced only when the config says so', () => {
  const schema = functionCalls.schema(schemaKit);
  assert.equal(schema.parse({}).enabled, false);
  const refused = schema.safeParse({ enabled: true, notrace: ['vfs_*'] });
  assert.deepEqual(refused.error?.issues[0].path, ['functions']);
  assert.equal(schema.safeParse({ enabled: true, functions: ['vfs_*'] }).success, true);
  assert.equal(schema.safeParse({ enabled: true, unfiltered: true }).success, true);
  for (const bad of [
    { functions: ['schedule:traceoff'] },
    { notrace: ['!x'] },
    { pids: [0] },
    { pids: [1.5] },
    { pids: ['1'] },
    { max_depth: 2 },
  ]) {
    assert.equal(schema.safeParse(bad).success, false, JSON.stringify(bad));
  }
});

test('the request to the tracer', () => {
  const options = functionCalls
    .schema(schemaKit)
    .parse({ functions: ['vfs_*'], notrace: ['vfs_get*'], pids: [42] });
  assert.deepEqual(functionCalls.tracer?.(options), {
    tracer: 'function',
    where: 'instance',
    reads: 'events',
    options: { func_stack_trace: '0', 'func-no-repeats': '0', 'func-args': '0' },
    knobs: [],
    functions: { functions: ['vfs_*'], notrace: ['vfs_get*'], pids: [42], maxDepth: 1 },
  });
});
