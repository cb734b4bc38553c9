/** Where tracers run, which are refused because of other users, and in which order files are written. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { KernelError } from '../../../src/model/errors.ts';
import type { TracerRequest } from '../../../src/model/tracer.ts';
import { matchingDisks } from '../../../src/tracefs/blk-switch.ts';
import { refuseWhatIsInUse } from '../../../src/tracefs/in-use.ts';
import type { Instance } from '../../../src/tracefs/instance.ts';
import { bootId } from '../../../src/tracefs/journal/state.ts';
import { maskOf, placeOf } from '../../../src/tracefs/tracers.ts';
import { fakeTracefs } from './fake.ts';

/** `available_tracers` of the top level and of an instance, on 6.1-rt and 6.12-rt. */
const OFFERED = [
  'timerlat',
  'osnoise',
  'hwlat',
  'blk',
  'mmiotrace',
  'function_graph',
  'wakeup',
  'function',
  'nop',
];
const IN_61 = ['timerlat', 'osnoise', 'hwlat', 'wakeup', 'function', 'nop'];
const IN_612 = ['timerlat', 'osnoise', 'hwlat', 'function_graph', 'wakeup', 'function', 'nop'];

test('a tracer runs in an instance if the kernel allows it there', () => {
  const place = (tracer: string, where: TracerRequest['where'], inInstances = IN_61) =>
    placeOf({ tracer, where }, OFFERED, inInstances);
  assert.deepEqual(place('timerlat', 'instance'), { place: 'instance' });
  assert.deepEqual(place('function_graph', 'prefer_instance'), { place: 'top' });
  assert.deepEqual(place('function_graph', 'prefer_instance', IN_612), { place: 'instance' });
  assert.deepEqual(place('blk', 'top'), { place: 'top' });
  assert.match(JSON.stringify(place('irqsoff', 'instance')), /built without the tracer irqsoff/);
  assert.match(JSON.stringify(place('function_graph', 'instance')), /does not run .* in an instance/);
});

test('CPU masks are words of 32 bits, the highest first', () => {
  assert.equal(maskOf([0, 1]), '00000003');
  assert.equal(maskOf([2, 31]), '80000004');
  assert.equal(maskOf([0, 32, 70]), '00000040,00000001,00000001');
  assert.equal(maskOf([]), '00000000');
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(200), { minLength: 1 }), (cpus) => {
      const value = BigInt(`0x${maskOf(cpus).replaceAll(',', '')}`);
      assert.equal(
        value,
        cpus.reduce((sum, cpu) => sum | (1n << BigInt(cpu)), 0n),
      );
    }),
  );
});

const REQUEST: TracerRequest = { tracer: 'nop', where: 'instance', reads: 'events', options: {}, knobs: [] };
const FILTER = { functions: ['x'], notrace: [], pids: [], maxDepth: 1 };

/** Simulates a machine. `running`: running tracers by instance; `''` is the top level. */
function machine(t: TestContext, running: Record<string, string>, files: Record<string, string> = {}) {
  const root = fakeTracefs(t, {
    tracing_thresh: '0\n',
    max_graph_depth: '0\n',
    set_graph_function: '#### all functions enabled ####\n',
    ...files,
  });
  for (const [instance, tracer] of Object.entries({ '': 'nop', mine: 'nop', ...running })) {
    const dir = instance === '' ? root : join(root, 'instances', instance);
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'current_tracer'), `${tracer}\n`);
  }
  const place = { stateDir: join(root, 'state'), name: 'mine', root };
  const target = { root, dir: join(root, 'instances/mine') } as Instance;
  return {
    place,
    run: (request: Partial<TracerRequest>, own = target) =>
      refuseWhatIsInUse(own, { ...REQUEST, ...request }, place),
    top: { root, dir: root } as Instance,
  };
}

const refused = (message: RegExp) => (error: unknown) =>
  error instanceof KernelError && error.errno === 'EBUSY' && message.test(error.message);

test('of those that exclude each other one runs, wherever it does', (t) => {
  const pairs = [
    ['osnoise', 'timerlat'],
    ['timerlat', 'timerlat'],
    ['hwlat', 'hwlat'],
    ['wakeup', 'wakeup_dl'],
    ['irqsoff', 'preemptoff'],
  ];
  for (const [there, wanted] of pairs) {
    for (const instance of ['', 'other']) {
      const { run } = machine(t, { [instance]: there });
      assert.throws(() => run({ tracer: wanted }), refused(new RegExp(`tracer ${there} runs there`)), wanted);
    }
  }
  machine(t, { other: 'osnoise', another: 'hwlat' }).run({ tracer: 'wakeup', knobs: [] });
  machine(t, { mine: 'timerlat', other: 'wakeup' }).run({ tracer: 'timerlat' });
  machine(t, { other: 'wakeup' }).run({ tracer: 'irqsoff' });
  machine(t, { other: 'function' }).run({ tracer: 'function' });
});

test('tracing_thresh hides what is shorter from function_graph and latency tracers', (t) => {
  const set = machine(t, {}, { tracing_thresh: '10\n' });
  for (const tracer of ['function_graph', 'wakeup_rt', 'preemptirqsoff'])
    assert.throws(() => set.run({ tracer }), refused(/tracing_thresh: EBUSY — it is 10 us/), tracer);
  set.run({ tracer: 'hwlat' });
  set.run({ tracer: 'function' });
  const running = machine(t, { other: 'wakeup' });
  assert.throws(() => running.run({ tracer: 'hwlat' }), refused(/tracer wakeup runs there.*tracing_thresh/));
  const knobs = [{ file: 'tracing_thresh', value: '5' }];
  assert.throws(() => running.run({ tracer: 'osnoise', knobs }), refused(/tracing_thresh/));
  running.run({ tracer: 'osnoise', knobs: [{ file: 'tracing_thresh', value: '0' }] });
});

test('a tracing_thresh of somebody else keeps osnoise off, unless the config gives it a threshold', (t) => {
  const set = machine(t, {}, { tracing_thresh: '10\n' });
  assert.throws(() => set.run({ tracer: 'osnoise' }), refused(/tracing_thresh: EBUSY — it is 10 us/));
  set.run({ tracer: 'osnoise', knobs: [{ file: 'tracing_thresh', value: '5' }] });
});

test('options of osnoise that a killed tool left keep it and timerlat off', (t) => {
  const usual =
    'DEFAULTS OSNOISE_WORKLOAD NO_PANIC_ON_STOP NO_OSNOISE_PREEMPT_DISABLE NO_OSNOISE_IRQ_DISABLE\n';
  for (const [options, named] of [
    [
      'OSNOISE_WORKLOAD NO_PANIC_ON_STOP NO_OSNOISE_PREEMPT_DISABLE OSNOISE_IRQ_DISABLE\n',
      /set OSNOISE_IRQ_DISABLE for/,
    ],
    [
      'NO_OSNOISE_WORKLOAD PANIC_ON_STOP NO_OSNOISE_PREEMPT_DISABLE NO_OSNOISE_IRQ_DISABLE\n',
      /NO_OSNOISE_WORKLOAD, PANIC_ON_STOP/,
    ],
  ] as const) {
    const { run } = machine(t, {}, { 'osnoise/options': options });
    for (const tracer of ['osnoise', 'timerlat'])
      assert.throws(() => run({ tracer }), refused(named), tracer);
    run({ tracer: 'hwlat' });
  }
  machine(t, {}, { 'osnoise/options': usual }).run({ tracer: 'osnoise' });
});

test('depth and graph functions are one setting for all', (t) => {
  const graph = { tracer: 'function_graph', functions: FILTER };
  machine(t, {}).run(graph);
  machine(t, { other: 'function_graph' }).run(graph);
  const deep = { ...graph, functions: { ...FILTER, maxDepth: 2 } };
  assert.throws(() => machine(t, { other: 'function_graph' }).run(deep), refused(/set max_depth to 1/));
  assert.throws(() => machine(t, {}, { max_graph_depth: '4\n' }).run(graph), refused(/has set it to 4/));
  assert.throws(
    () => machine(t, {}, { set_graph_function: 'vfs_read\n' }).run(graph),
    refused(/empty the file/),
  );
});

test('what another agent has in its journal belongs to it', (t) => {
  const { run, place, top } = machine(t, {});
  mkdirSync(place.stateDir);
  const state = (name: string, file: string, boot = bootId()) => {
    const entries = [{ file, before: '0-1', owners: ['timerlat'] }];
    writeFileSync(
      join(place.stateDir, `${name}.journal.json`),
      JSON.stringify({ version: 1, boot, entries }),
    );
  };
  const knobs = [{ file: 'osnoise/cpus', value: '1' }];
  state('mine', 'osnoise/cpus');
  state('old', 'osnoise/cpus', 'another boot');
  writeFileSync(join(place.stateDir, 'broken.journal.json'), '{');
  run({ tracer: 'osnoise', knobs });
  state('theirs', 'osnoise/cpus');
  assert.throws(
    () => run({ tracer: 'osnoise', knobs }),
    refused(/osnoise\/cpus.*agent theirs has set it.*cleanup/),
  );
  run({ tracer: 'function', functions: FILTER });
  state('theirs', 'current_tracer');
  run({ tracer: 'osnoise', knobs });
  assert.throws(() => run({ tracer: 'blk' }, top), refused(/agent theirs/));
});

test('disks are selected by whole names; those without a medium do not count', (t) => {
  const dir = fakeTracefs(t, {
    'sda/size': '1024\n',
    'sdab/size': '8\n',
    'sr0/size': '0\n',
    'vda/size': '8\n',
  });
  assert.deepEqual(matchingDisks(['sd?', 'sr*'], dir), ['sda']);
  assert.deepEqual(matchingDisks(['*d*'], dir), ['sda', 'sdab', 'vda']);
  assert.deepEqual(matchingDisks(['*'], join(dir, 'none')), []);
});
