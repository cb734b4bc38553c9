import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TaskStamps } from '../../../src/probes/task-stamps.ts';

test('a stamp and its tag can be read until they are cleared', () => {
  const stamps = new TaskStamps();
  stamps.set(1, 10, 7);
  stamps.set(4194303, 20, -3);
  assert.equal(stamps.get(1), 10);
  assert.equal(stamps.tag(1), 7);
  assert.equal(stamps.get(4194303), 20);
  assert.equal(stamps.tag(4194303), -3);
  stamps.clear(1);
  assert.equal(stamps.get(1), 0);
});

test('pids out of range have no stamp', () => {
  const stamps = new TaskStamps();
  for (const pid of [0, -1, 4194304, 2147483647, -2147483648]) {
    stamps.set(pid, 5);
    assert.equal(stamps.get(pid), 0, String(pid));
    assert.equal(stamps.tag(pid), 0, String(pid));
    stamps.clear(pid);
  }
  assert.equal(stamps.chunks, 0);
});

test('a million tasks that come and go leave no memory behind', () => {
  const stamps = new TaskStamps();
  for (let i = 0; i < 1_000_000; i++) {
    const pid = 1 + ((i * 37) % 4194303);
    stamps.set(pid, i + 1);
    stamps.clear(pid);
  }
  assert.equal(stamps.chunks, 1);
});

test('a chunk that is used again is empty', () => {
  const stamps = new TaskStamps();
  stamps.set(5, 1);
  stamps.set(6, 1);
  stamps.clear(5);
  stamps.clear(5);
  assert.equal(stamps.get(6), 1);
  stamps.clear(6);
  stamps.set(5000, 2);
  assert.equal(stamps.chunks, 1);
  assert.equal(stamps.get((4 << 10) | 6), 0);
  assert.equal(stamps.get(6), 0);
});

test('a stamp set anew is one stamp', () => {
  const stamps = new TaskStamps();
  stamps.set(5, 1);
  stamps.set(5, 2);
  stamps.clear(5);
  stamps.set(5000, 3);
  assert.equal(stamps.chunks, 1);
});

test('behaves like a map', (t) => {
  const pids = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 4194303 }));
  const steps = fc.array(fc.record({ pid: pids, stamp: fc.integer({ min: 0, max: 1e9 }) }), {
    maxLength: 200,
    size: 'max',
  });
  const seed = Date.now() & 0x7fffffff;
  t.diagnostic(`seed ${seed}`);
  fc.assert(
    fc.property(steps, (todo) => {
      const stamps = new TaskStamps();
      const model = new Map<number, number>();
      for (const { pid, stamp } of todo) {
        if (stamp === 0) {
          stamps.clear(pid);
          model.delete(pid);
        } else {
          stamps.set(pid, stamp);
          model.set(pid, stamp);
        }
      }
      for (const { pid } of todo) assert.equal(stamps.get(pid), model.get(pid) ?? 0);
      const chunks = new Set([...model.keys()].map((pid) => pid >> 10));
      assert.ok(stamps.chunks >= chunks.size);
    }),
    { seed },
  );
});
