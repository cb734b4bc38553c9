import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { deviceNumber, listBlockDevices, liveBlockDevices } from '../../../src/host/block-devices.ts';

const VDA = (254 << 20) | 0;
const CCISS = (4095 << 20) | 16;

function fakeSysfs(t: TestContext): string {
  const sysfs = mkdtempSync(join(tmpdir(), 'sysfs-'));
  t.after(() => rmSync(sysfs, { recursive: true }));
  mkdirSync(join(sysfs, 'dev/block'), { recursive: true });
  symlinkSync('../../devices/pci0000:00/0000:00:02.0/virtio1/block/vda', join(sysfs, 'dev/block/254:0'));
  symlinkSync('../../devices/virtual/block/cciss!c0d0', join(sysfs, 'dev/block/4095:16'));
  return sysfs;
}

test("the kernel's dev_t is major and minor, whatever its sign", () => {
  assert.equal(deviceNumber(VDA), '254:0');
  assert.equal(deviceNumber((259 << 20) | 0xfffff), '259:1048575');
  assert.ok(CCISS < 0);
  assert.equal(deviceNumber(CCISS), '4095:16');
  assert.equal(deviceNumber(CCISS >>> 0), '4095:16');
});

test('names come from the links of sysfs', (t) => {
  const devices = liveBlockDevices(fakeSysfs(t));
  assert.equal(devices.name(VDA), 'vda');
  assert.equal(devices.name(CCISS >>> 0), 'cciss/c0d0');
  assert.equal(devices.name((259 << 20) | 7), '259:7');
  assert.equal(devices.exists(VDA), true);
  assert.equal(devices.exists((259 << 20) | 7), false);
});

test('a name is kept while its device is gone, and until the next look', (t) => {
  const sysfs = fakeSysfs(t);
  const link = join(sysfs, 'dev/block/254:0');
  const devices = liveBlockDevices(sysfs);
  assert.equal(devices.name(VDA), 'vda');
  unlinkSync(link);
  assert.equal(devices.name(VDA), 'vda');
  assert.equal(devices.exists(VDA), false);
  assert.equal(devices.name(VDA), '254:0');
  symlinkSync('../../devices/virtual/block/other', link);
  assert.equal(devices.exists(VDA), true);
  assert.equal(devices.name(VDA), 'other');
});

test('if the links are hidden, disks are found by their own directories', (t) => {
  const sysfs = mkdtempSync(join(tmpdir(), 'sysfs-'));
  t.after(() => rmSync(sysfs, { recursive: true }));
  mkdirSync(join(sysfs, 'dev/block'), { recursive: true });
  mkdirSync(join(sysfs, 'block/vda'), { recursive: true });
  mkdirSync(join(sysfs, 'block/cciss!c0d0'), { recursive: true });
  mkdirSync(join(sysfs, 'block/gone'), { recursive: true });
  writeFileSync(join(sysfs, 'block/vda/dev'), '254:0\n');
  writeFileSync(join(sysfs, 'block/cciss!c0d0/dev'), '4095:16\n');
  const devices = liveBlockDevices(sysfs);
  assert.equal(devices.name(VDA), 'vda');
  assert.equal(devices.name(CCISS), 'cciss/c0d0');
  assert.equal(devices.name((259 << 20) | 7), '259:7');
  assert.equal(devices.exists(VDA), true);
  assert.equal(devices.exists((259 << 20) | 7), false);
  assert.deepEqual([...listBlockDevices(sysfs).values()].sort(), ['cciss/c0d0', 'vda']);
});

test('without sysfs nothing is known, and no device counts as gone', () => {
  const devices = liveBlockDevices('/nonexistent');
  assert.equal(devices.name(VDA), '254:0');
  assert.equal(devices.exists(VDA), true);
  assert.deepEqual(listBlockDevices('/nonexistent'), new Map());
});

test('all devices, by number', (t) => {
  assert.deepEqual(
    listBlockDevices(fakeSysfs(t)),
    new Map([
      [VDA, 'vda'],
      [CCISS, 'cciss/c0d0'],
    ]),
  );
});
