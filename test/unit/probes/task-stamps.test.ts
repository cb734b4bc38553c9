import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TaskStamps } from '../../../src/probes/tables/task-stamps.ts';

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
  assert.ok(stamps.chunks <= 64, `${stamps.chunks} chunks`);
});

test('tasks that take turns keep their chunks: no turn searches for one', () => {
  const stamps = new TaskStamps();
  for (let turn = 0; turn < 1000; turn++) {
    const pid = 1 + (turn % 40) * 1024;
    stamps.set(pid, 1);
    stamps.clear(pid);
  }
  assert.equal(stamps.chunks, 40);
});

test('when most chunks are in use there is room for as many again', () => {
  const stamps = new TaskStamps();
  for (let chunk = 0; chunk < 64; chunk++) stamps.set(1 + chunk * 1024, 1);
  stamps.clear(1);
  for (let chunk = 64; chunk < 100; chunk++) stamps.set(1 + chunk * 1024, 1);
  assert.equal(stamps.get(1), 0);
  for (let chunk = 1; chunk < 100; chunk++) assert.equal(stamps.get(1 + chunk * 1024), 1);
  assert.equal(stamps.chunks, 99);
});

test('a chunk that is used again is empty', () => {
  const stamps = new TaskStamps();
  const stale = 1 + 5 * 1024;
  stamps.set(stale, 1);
  stamps.set(stale + 1, 1);
  stamps.clear(stale);
  stamps.clear(stale);
  assert.equal(stamps.get(stale + 1), 1);
  stamps.clear(stale + 1);
  // Use more chunks of pids than the table has at first, so that the cleared chunk is reused.
  for (let chunk = 100; chunk < 300; chunk++) {
    const pid = 1 + chunk * 1024;
    assert.equal(stamps.get(pid + 1), 0);
    stamps.set(pid, 2);
    assert.equal(stamps.get(pid + 1), 0);
    stamps.clear(pid);
  }
  assert.equal(stamps.get(stale), 0);
  assert.ok(stamps.chunks <= 64);
});

test('a stamp set again is one stamp: its chunk is free when it is cleared', () => {
  const stamps = new TaskStamps();
  for (let chunk = 0; chunk < 500; chunk++) {
    const pid = 1 + chunk * 1024;
    stamps.set(pid, 1);
    stamps.set(pid, 2);
    stamps.clear(pid);
  }
  assert.ok(stamps.chunks <= 64, `${stamps.chunks} chunks`);
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
