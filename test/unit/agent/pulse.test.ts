import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makePulse, pulseWriter } from '../../../src/agent/contract/pulse.ts';

test('a thread that never gets to its first drain ages from its start', async () => {
  const pulse = makePulse();
  assert.equal(pulse.ageMs(), undefined);
  pulse.begin();
  await sleep(20);
  assert.ok((pulse.ageMs() ?? 0) >= 15, String(pulse.ageMs()));
  pulseWriter(pulse.memory)({ readSeconds: 1, decodeSeconds: 2 });
  assert.deepEqual(pulse.cpu(), { readSeconds: 1, decodeSeconds: 2 });
  const drainedMs = pulse.ageMs() ?? Number.NaN;
  assert.ok(drainedMs >= 0, String(drainedMs));
  await sleep(5);
  pulse.begin();
  assert.ok((pulse.ageMs() ?? 0) > drainedMs, 'the age counts from the drain, not from the start');
});
