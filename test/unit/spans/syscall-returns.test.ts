/** Results of calls: which are failures, and which are addresses, which traces must not reveal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSpans } from '../../../src/spans/spans.ts';
import { testDeps } from './deps.ts';

/** The result and the error that a trace shows for a call that returned `ret`. */
function told(name: string, ret: number): { shown: unknown; error: string | undefined } {
  const kinds = { syscalls: { thresholdNs: 1, include: ['*'] } };
  const spans = makeSpans({ maxTracesPerSecond: 1000, containers: false, kinds }, testDeps(), 0);
  spans.sinks.syscalls?.ended(name, 7, 0, 1e9, 1e9 + 1000, ret);
  const [
    {
      spans: [root],
    },
  ] = spans.take(1000);
  return { shown: root.attributes['ftrace.syscall.return'], error: root.error };
}

test('a call that a signal ended and that is made again has not failed', () => {
  for (const ret of [-512, -513, -514, -516])
    assert.deepEqual(told('read', ret), { shown: ret, error: undefined });
  // These codes are internal to the kernel. If one of them reaches a program, it is an error.
  for (const ret of [-511, -515, -517, -524])
    assert.deepEqual(told('ioctl', ret), { shown: ret, error: String(-ret) });
  assert.deepEqual(told('write', -28), { shown: -28, error: 'ENOSPC' });
});

test('addresses that calls return are not shown; failures of these calls are', () => {
  for (const name of ['mmap', 'brk', 'mremap', 'shmat', 'map_shadow_stack', 'rt_sigreturn'])
    for (const address of [0x7f3a_5c00_0000, 0x55d0_1234_5000, 0x1c3_f000, 0x4000_0000])
      assert.deepEqual(told(name, address), { shown: undefined, error: undefined });
  assert.deepEqual(told('mmap', -28), { shown: -28, error: 'ENOSPC' });
  // The agent shows other names for brk and mmap2 of a 32-bit program, so it must hide addresses of any call.
  for (const address of [0x7fff_dead_b000, 2 ** 47, 2 ** 31, 0xf7d0_0000, -0x0830_0000])
    assert.deepEqual(told('lgetxattr', address), { shown: undefined, error: undefined });
});

test('counts that a call returns are shown', () => {
  for (const ret of [0, 1, 0x7fff_f000, 2 ** 31 - 1])
    assert.deepEqual(told('read', ret), { shown: ret, error: undefined });
});
