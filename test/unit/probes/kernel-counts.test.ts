/** Declared counters that the kernel keeps: which counts they request, and how the counts get labels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFunctionInterner } from '../../../src/decode/text/function-interner.ts';
import type { KernelCountRequest } from '../../../src/model/kernel-count.ts';
import { declared } from './declared.ts';

const EXIT = 'raw_syscalls:sys_exit';
const NAME = 'ftrace_exits_total';

/** Runs a metric that the kernel counts. Returns the request to the kernel, and feeds the kernel's counts. */
function inKernel(more: object, counts: [values: bigint[], more: number][] = []) {
  let request: KernelCountRequest | undefined;
  const written = { name: 'exits_total', event: EXIT, count_in: 'kernel', ...more };
  const h = declared(written, {
    countInKernel: (one) => {
      request = one;
      return {
        read: (visit) => counts.splice(0).forEach(([values, hits]) => void visit(values, hits)),
        end: () => {},
      };
    },
  });
  return { ...h, request };
}

test('labels are counted by their fields, each field once, and get the names of numbers', () => {
  const labels = { call: { field: 'id', as: 'syscall' }, nr: 'id', result: { field: 'ret', as: 'errno' } };
  const s = inKernel({ labels, max_series: 100 }, [
    [[0n, 5n], 2],
    [[0n, 18446744073709551614n], 3],
    [[5n, 0n], 1],
  ]);
  assert.deepEqual(s.request, { event: EXIT, keys: ['id', 'ret'], room: 200 });
  assert.deepEqual(s.probe.handlers, {});
  assert.deepEqual(s.probe.counted, [EXIT]);
  assert.equal(s.value(NAME, 'read', '0', 'ok'), 2);
  assert.equal(s.value(NAME, 'read', '0', 'ENOENT'), 3);
  assert.equal(s.value(NAME, 'fstat', '5', 'ok'), 1);
});

test('the CPU is a label and a key', () => {
  const s = inKernel({ labels: { on: 'cpu', nr: 'id' }, per_cpu: true, max_series: 10 }, [[[1n, 7n], 4]]);
  assert.deepEqual(s.request, { event: EXIT, keys: ['common_cpu', 'id'], room: 80 });
  assert.equal(s.value(NAME, '1', '7', '1'), 4);
});

test('without labels there is one count, which starts at 0', () => {
  const s = inKernel({}, [[[77n], 6]]);
  assert.deepEqual(s.request, { event: EXIT, keys: ['common_type'], room: 1 });
  assert.equal(s.value(NAME), 6);
  assert.equal(inKernel({}).value(NAME), 0);
});

test('a text cannot be counted by', () => {
  assert.throws(
    () => inKernel({ event: 'sched:sched_process_exit', labels: { comm: 'comm' } }),
    /count_in: kernel needs labels that are numbers, but field comm of sched:sched_process_exit is not a number: remove count_in/,
  );
});

test('functions have names by address only if the reader has addresses', () => {
  const request = (isText: boolean) =>
    declared(
      {
        ...{ name: 'drops_total', event: 'skb:kfree_skb', count_in: 'kernel' },
        labels: { place: { field: 'location', as: 'symbol' } },
      },
      {
        functions: isText ? makeFunctionInterner() : { nameOf: () => 'tcp_v4_rcv', generation: 0 },
        countInKernel: () => ({ read: (visit) => visit([0xffffffff81000000n], 2), end: () => {} }),
      },
    );
  assert.equal(request(false).value('ftrace_drops_total', 'tcp_v4_rcv'), 2);
  assert.throws(() => request(true), /cannot name addresses: remove count_in/);
});

test('in a recording the agent counts', () => {
  const h = declared({ name: 'exits_total', event: EXIT, count_in: 'kernel' });
  h.feed(EXIT, { ts: 1, by: 7, id: 1, ret: 0 });
  assert.equal(h.value(NAME), 1);
});
