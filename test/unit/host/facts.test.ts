import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capturedHostFacts, liveHostFacts } from '../../../src/host/facts.ts';
import type { HostFacts } from '../../../src/probes/probe.ts';

test('facts of this machine', () => {
  const facts: HostFacts = liveHostFacts({ machine: 'x86_64', sysfs: '/nonexistent' });
  assert.equal(facts.syscallName(74), 'fsync');
  assert.ok(facts.syscallIds().includes(74));
  assert.equal(facts.syscallEventName('fstat'), 'newfstat');
  assert.equal(facts.errnoName(2), 'ENOENT');
  assert.equal(facts.blockDeviceName((254 << 20) | 1), '254:1');
});

test('the table and the names of events are those of the machine', () => {
  const facts: HostFacts = liveHostFacts({ machine: 'aarch64' });
  assert.equal(facts.syscallName(82), 'fsync');
  assert.equal(facts.syscallEventName('personality'), 'arm64_personality');
  const other = liveHostFacts({ machine: 'sparc64' });
  assert.deepEqual(other.syscallIds(), []);
  assert.equal(other.syscallName(0), undefined);
});

test('devices of a recorded machine are those that the recording names', () => {
  const high = (4095 << 20) | 3;
  const blockDevices = new Map([
    [(254 << 20) | 0, 'vda'],
    [high, 'mp3'],
  ]);
  const facts: HostFacts = capturedHostFacts({ machine: 'x86_64', blockDevices });
  assert.equal(facts.blockDeviceName(254 << 20), 'vda');
  assert.equal(facts.blockDeviceName(high >>> 0), 'mp3');
  assert.equal(facts.blockDeviceName((8 << 20) | 1), '8:1');
  assert.equal(facts.blockDeviceExists((8 << 20) | 1), true);
});

test('numbers of the table ascend, as probes rely on', () => {
  for (const machine of ['x86_64', 'aarch64']) {
    const ids = liveHostFacts({ machine }).syscallIds();
    assert.deepEqual(
      [...ids],
      [...ids].sort((a, b) => a - b),
    );
    assert.ok((ids.at(-1) ?? 0) < 4096);
  }
});
