/** Lists of functions as kernels 5.10 to 7.3 print them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FunctionFilter } from '../../../src/model/tracer.ts';
import {
  checkedGlob,
  functionAddresses,
  listFunctions,
  setFunctionFilter,
} from '../../../src/tracefs/functions.ts';
import type { Instance } from '../../../src/tracefs/instance.ts';
import { fakeTracefs } from './fake.ts';

const NAMES = `trace_initcall_level_cb
vfs_read
vfs_iter_read
vfs_readv
tdx_panic.constprop.0
__ftrace_invalid_address___2208
virtblk_open [virtio_blk]
p9_client_read [9pnet]
vfs_read
`;

test('functions come with their modules; places without a name do not', (t) => {
  const root = fakeTracefs(t, { available_filter_functions: NAMES });
  const all = [...listFunctions(root)];
  assert.equal(all.length, 8);
  assert.deepEqual(all[1], { name: 'vfs_read', module: '' });
  assert.deepEqual(all[5], { name: 'virtblk_open', module: 'virtio_blk' });
});

test('lists longer than a read are whole', (t) => {
  const names = Array.from({ length: 20_000 }, (_, i) => `function_number_${i}`);
  const root = fakeTracefs(t, { available_filter_functions: names.join('\n') });
  assert.deepEqual(
    [...listFunctions(root)].map(({ name }) => name),
    names,
  );
});

test('a list that cannot be read is an error with the reason', (t) => {
  const root = fakeTracefs(t, {});
  assert.throws(() => [...listFunctions(root)], { errno: 'ENOENT', message: /available_filter_functions/ });
});

test('globs with more than names are refused', () => {
  for (const glob of ['vfs_*', 'a?c', 'f.constprop.0', '$x', '*', '_x', '__x64_sys_*'])
    assert.equal(checkedGlob(glob), glob);
  const bad = [
    '',
    '12',
    '1*',
    'a:traceoff',
    ':mod:x',
    '!a',
    'a b',
    'a\n',
    '[a]',
    'a[bc]',
    'a,b',
    'a\\b',
    '#a',
    'ä',
  ];
  for (const glob of bad) assert.throws(() => checkedGlob(glob), { errno: 'EINVAL', value: glob }, glob);
});

const ADDRESSES = `ffffffffb83b5014 vfs_read
ffffffffb0e00014 trace_initcall_level_cb
ffffffffc0401004 virtblk_open [virtio_blk]
7fff00000010 odd
not a line
`;

test('addresses are sorted, as two words; only wanted ones are kept', (t) => {
  const root = fakeTracefs(t, { available_filter_functions_addrs: ADDRESSES });
  const all = functionAddresses(root);
  assert.deepEqual(all?.names, ['odd', 'trace_initcall_level_cb', 'vfs_read', 'virtblk_open']);
  assert.deepEqual([...(all?.high ?? [])], [0x7fff, 0xffffffff, 0xffffffff, 0xffffffff]);
  assert.deepEqual([...(all?.low ?? [])], [0x10, 0xb0e00014, 0xb83b5014, 0xc0401004]);
  const some = functionAddresses(root, (name, module) => name === 'vfs_read' || module === 'virtio_blk');
  assert.deepEqual(some?.names, ['vfs_read', 'virtblk_open']);
});

test('a kernel that has no addresses, or hides them, gives none', (t) => {
  assert.equal(functionAddresses(fakeTracefs(t, {})), undefined);
  const hidden = fakeTracefs(t, { available_filter_functions_addrs: '0000000000000000 vfs_read\n' });
  assert.equal(functionAddresses(hidden), undefined);
});

/** Records the writes of a filter. `lists`: files with the kernel's lists of functions. */
function recorder(t: TestContext, lists: Record<string, string>, matchesNothing: readonly string[] = []) {
  const root = fakeTracefs(t, lists);
  const done: string[] = [];
  const add = (where: string) => (file: string, values: readonly string[]) => {
    done.push(`${where} ${file} += ${values.join(' ')}`);
    return values.filter((value) => matchesNothing.includes(value));
  };
  const set = (where: string) => (file: string, value: string) =>
    void done.push(`${where} ${file} = ${value}`);
  const target = {
    root,
    dir: join(root, 'instances'),
    add: add('own'),
    set: set('own'),
  } as unknown as Instance;
  const knobs = {
    add: add('shared'),
    set: set('shared'),
    keep: () => {},
    keepIfFollows: (_file: string, step: () => void) => step(),
    stillRuns: () => {},
    restore: () => ({ restored: [], problems: [] }),
  };
  return {
    done,
    run: (tracer: string, filter: FunctionFilter) => setFunctionFilter(target, tracer, filter, knobs),
  };
}

const FILTER = { functions: ['vfs_*', 'nosuch'], notrace: ['vfs_r*'], pids: [17, 18], maxDepth: 1 };
const IN_FORCE = { 'instances/set_ftrace_filter': 'vfs_read\n', set_graph_function: 'vfs_read\n' };

test('only functions: filtered in the instance, and pids follow forks', (t) => {
  const { done, run } = recorder(t, IN_FORCE, ['nosuch']);
  assert.deepEqual(run('function_graph', FILTER), ['no function of this kernel matches nosuch']);
  assert.deepEqual(done, [
    'own set_ftrace_filter += vfs_* nosuch',
    'own set_ftrace_notrace += vfs_r*',
    'own options/function-fork = 1',
    'own set_ftrace_pid += 17 18',
  ]);
});

test('with called functions: functions and depth are set for all instances, and the filter stays empty', (t) => {
  const { done, run } = recorder(t, IN_FORCE);
  assert.deepEqual(run('function_graph', { ...FILTER, pids: [], maxDepth: 3 }), []);
  assert.deepEqual(done, [
    'shared set_graph_function += vfs_* nosuch',
    'shared max_graph_depth = 3',
    'own set_ftrace_notrace += vfs_r*',
  ]);
  done.length = 0;
  run('function_graph', { functions: [], notrace: [], pids: [], maxDepth: 0 });
  run('function_graph', { functions: [], notrace: [], pids: [], maxDepth: 1 });
  assert.deepEqual(done, []);
  run('function', { ...FILTER, notrace: [], pids: [], maxDepth: 3 });
  assert.deepEqual(done, ['own set_ftrace_filter += vfs_* nosuch']);
});

test('a filter that turns out empty is refused, because everything would be traced', (t) => {
  const { run } = recorder(t, {}, ['vfs_*', 'nosuch']);
  assert.throws(() => run('function', FILTER), {
    errno: 'EINVAL',
    message: /"vfs_\* nosuch".*list functions GLOB/,
  });
  const empty = recorder(t, { 'instances/set_ftrace_filter': '#### all functions enabled ####\n' });
  assert.throws(() => empty.run('function', FILTER), { errno: 'EINVAL' });
  assert.throws(() => empty.run('function', { ...FILTER, functions: ['a:b'] }), { value: 'a:b' });
});

test('every glob is checked before anything is written', (t) => {
  const { done, run } = recorder(t, IN_FORCE);
  assert.throws(() => run('function', { ...FILTER, notrace: ['x:traceoff'] }), { value: 'x:traceoff' });
  assert.deepEqual(done, []);
});
