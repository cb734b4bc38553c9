import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadedModules, watchModules } from '../../../src/host/modules.ts';

const EXT4 = 'ext4 1163264 1 - Live 0xffffffffc0987000\n';
const VIRTIO = 'virtio_blk 28672 2 - Live 0xffffffffc0337000 (E)\n';

test('modules that come, go or move are a change; their use counts are not', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'modules-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'modules');
  const set = (text: string) => writeFileSync(file, text);
  set(EXT4);
  const watch = watchModules(file, directory);
  assert.equal(watch.changed(), false);
  set(EXT4.replace(' 1 - ', ' 3 jbd2,mbcache, '));
  assert.equal(watch.changed(), false);
  set(EXT4 + VIRTIO);
  assert.equal(watch.changed(), true);
  assert.equal(watch.changed(), false);
  set(EXT4 + VIRTIO.replace('c0337000', 'c0447000'));
  assert.equal(watch.changed(), true);
  set(EXT4 + VIRTIO.replace('Live', 'Unloading').replace('c0337000', 'c0447000'));
  assert.equal(watch.changed(), true);
  set('');
  assert.equal(watch.changed(), true);
  rmSync(file);
  assert.equal(watch.changed(), false);
});

test('if addresses are hidden, the directory of a module shows that it was loaded again', (t) => {
  const sysfs = mkdtempSync(join(tmpdir(), 'modules-'));
  t.after(() => rmSync(sysfs, { recursive: true }));
  const file = join(sysfs, 'modules');
  writeFileSync(file, 'ext4 1163264 1 - Live 0x0000000000000000\n');
  mkdirSync(join(sysfs, 'ext4'));
  const watch = watchModules(file, sysfs);
  assert.equal(watch.changed(), false);
  // Make another directory before removing the old one, so that the new `ext4` gets a different inode.
  mkdirSync(join(sysfs, 'new'));
  rmSync(join(sysfs, 'ext4'), { recursive: true });
  mkdirSync(join(sysfs, 'between'));
  mkdirSync(join(sysfs, 'ext4'));
  assert.equal(watch.changed(), true);
  assert.equal(watch.changed(), false);
});

test('a kernel without modules never changes', () => {
  assert.equal(watchModules('/nonexistent').changed(), false);
  assert.equal(
    loadedModules('nonsense\n\n', () => 1),
    '',
  );
});
