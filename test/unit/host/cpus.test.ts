import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { onlineCpus, parseCpuList } from '../../../src/host/cpus.ts';
import { KernelError } from '../../../src/model/errors.ts';

test('a CPU list as the kernel writes it', () => {
  assert.deepEqual(parseCpuList('0-3,8\n'), [0, 1, 2, 3, 8]);
  assert.deepEqual(parseCpuList('0\n'), [0]);
  assert.deepEqual(parseCpuList('\n'), []);
  assert.deepEqual(parseCpuList('4,2-2,2'), [2, 4]);
});

test('a malformed list is an error that names the part', () => {
  for (const text of ['a', '1-', '3-1', '0-99999999', '-1', '0x1', '1;2']) {
    assert.throws(() => parseCpuList(text), /is not a CPU or a range/, text);
  }
});

test('CPUs that are online, from sysfs', (t) => {
  const sysfs = mkdtempSync(join(tmpdir(), 'sysfs-'));
  t.after(() => rmSync(sysfs, { recursive: true }));
  mkdirSync(join(sysfs, 'devices/system/cpu'), { recursive: true });
  assert.throws(
    () => onlineCpus(sysfs),
    (error) => error instanceof KernelError && error.errno === 'ENOENT',
  );
  writeFileSync(join(sysfs, 'devices/system/cpu/online'), '0,2-3\n');
  assert.deepEqual(onlineCpus(sysfs), [0, 2, 3]);
  assert.ok(onlineCpus().length >= availableParallelism());
});
