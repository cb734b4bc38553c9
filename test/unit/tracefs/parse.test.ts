import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KernelError } from '../../../src/model/errors.ts';
import { bufferSizeKb, parseSizeKb, writeHalving } from '../../../src/tracefs/buffers.ts';
import { parseStats } from '../../../src/tracefs/stats.ts';
import { parseNonces, parseSignalTargets, threadMark } from '../../../src/tracefs/threads.ts';
import { fakeTracefs } from './fake.ts';

const NONCE = 'a1b2c3d4e5f6';
const mark = (prefix: string, nonce = NONCE) => `${prefix}: tracing_mark_write: ${threadMark(nonce)}`;

test('counts of a CPU come from its stats; absent lines count as 0', () => {
  const text = `entries: 129
overrun: 7
commit overrun: 3
bytes: 5644
oldest event ts:  2692.844269
now ts:  2692.892722
dropped events: 11
read events: 1234567890123
`;
  assert.deepEqual(parseStats(text, 5), {
    cpu: 5,
    entries: 129,
    overrun: 7,
    commitOverrun: 3,
    droppedEvents: 11,
    readEvents: 1234567890123,
    bytes: 5644,
  });
  const none = {
    cpu: 0,
    entries: 0,
    overrun: 0,
    commitOverrun: 0,
    droppedEvents: 0,
    readEvents: 0,
    bytes: 0,
  };
  assert.deepEqual(parseStats('', 0), none);
});

test('sizes as the kernel writes them', () => {
  assert.equal(parseSizeKb('4158\n'), 4158);
  assert.equal(parseSizeKb('7 (expanded: 1408)\n'), 7);
  assert.equal(parseSizeKb('X\n'), undefined);
});

test('if CPUs have different sizes the smallest counts', (t) => {
  const dir = fakeTracefs(t, {
    buffer_size_kb: 'X\n',
    'per_cpu/cpu0/buffer_size_kb': '513\n',
    'per_cpu/cpu10/buffer_size_kb': '129\n',
  });
  assert.equal(bufferSizeKb(dir), 129);
});

test('ENOMEM halves the size down to what is accepted; other errors and the minimum end it', () => {
  const refuseAbove = (limit: number, errno: string, seen: number[]) => (value: number) => {
    seen.push(value);
    if (value > limit) throw new KernelError({ file: 'buffer_size_kb', errno, action: 'write' });
  };
  const seen: number[] = [];
  assert.equal(writeHalving(refuseAbove(300, 'ENOMEM', seen), { first: 1001, least: 4 }), 250);
  assert.deepEqual(seen, [1001, 500, 250]);
  // Use the fallback, because half of a mistyped size could still be all memory of the machine.
  const bounded = writeHalving(refuseAbove(1e6, 'ENOMEM', []), { first: 1.5e6, least: 4 }, () => 1000);
  assert.equal(bounded, 1000);
  assert.throws(() => writeHalving(refuseAbove(1, 'ENOMEM', []), { first: 64, least: 4 }), {
    errno: 'ENOMEM',
  });
  assert.throws(() => writeHalving(refuseAbove(1, 'EBUSY', []), { first: 64, least: 4 }), { errno: 'EBUSY' });
});

test('the pid of a nonce is found in every form of the prefix', () => {
  const forms = {
    plain: '            bash-8559    [000] ...1.  2692.844269',
    old: '            node-8559  [013] ....  2692.844269',
    realtime: '            node-8559    [000] ...1.13  2692.844269',
    'with tgid': '            node-8559    (   8559) [000] .....  2692.844269',
    'unknown tgid': '            node-8559    (-------) [000] .....  2692.844269',
    'without flags': '            node-8559    [000]  2692.844269',
  };
  for (const [form, prefix] of Object.entries(forms))
    assert.deepEqual([...parseNonces(mark(prefix), [NONCE])], [[NONCE, 8559]], form);
});

test("no thread's name makes it look like another thread", () => {
  const names = ['x-1 [000] .', 'a-1 [0] 1.0: b:', '-1', ' - ', '[(-1', 'a: tracing_mark'];
  for (const name of names) {
    const line = mark(`${name}-4242    [000] ...1.  2692.844269`);
    assert.deepEqual([...parseNonces(line, [NONCE])], [[NONCE, 4242]], name);
  }
});

test('any name of up to 15 bytes leaves the pid as it is', () => {
  const seed = Date.now() & 0x7fffffff;
  console.log(`seed ${seed}`);
  const name = fc.string({ maxLength: 15, unit: fc.constantFrom(...'-[]():. \t0123456789abn') });
  fc.assert(
    fc.property(name, fc.integer({ min: 1, max: 4194303 }), (comm, pid) => {
      const line = mark(`${comm.padStart(16)}-${String(pid).padEnd(7)} [001] d..1.    12.345678`);
      assert.deepEqual([...parseNonces(line, [NONCE])], [[NONCE, pid]]);
    }),
    { seed, numRuns: 2000 },
  );
});

test('other texts, other nonces and what follows a nonce are ignored', () => {
  const prefix = ' node-7 [000] .....  1.5';
  assert.equal(parseNonces(mark(prefix, 'ffff'), [NONCE]).size, 0);
  assert.equal(parseNonces(`${mark(prefix)} more`, [NONCE]).size, 0);
  assert.equal(parseNonces(threadMark(NONCE), [NONCE]).size, 0);
  assert.equal(parseNonces('', [NONCE]).size, 0);
});

test('the target of a signal is read from the end of the line', () => {
  const line = (comm: string, pid: number) =>
    `  node-7  [001] d..1.  2.5: signal_generate: sig=23 errno=0 code=0 comm=${comm} pid=${pid} grp=1 res=1`;
  const text = [line('node', 7), line('a pid=9 grp=1 r', 8), line('node', 7), 'sig=23 pid=3 grp=1 res=1'];
  assert.deepEqual(parseSignalTargets(text.join('\n')), [7, 8]);
});
