/** Which configs turn on the look-up of containers, and with which settings. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { composeSchema, toAgentConfig } from '../../../src/config/schema.ts';
import { probeCatalogue } from '../../../src/probes/catalogue.ts';

const schema = composeSchema(probeCatalogue);
const containersOf = (raw: unknown) => toAgentConfig(schema.parse(raw), probeCatalogue).containers;
const PER_CONTAINER = { sched: { enabled: true, per_container: true } };
const DEFAULTS = { cgroupDir: '/sys/fs/cgroup', podLogs: '/var/log/pods', max: 200, keepMs: 300_000 };

test('auto: if a probe that is on needs it', () => {
  assert.equal(containersOf({}), undefined);
  assert.equal(containersOf({ probes: { sched: { enabled: false, per_container: true } } }), undefined);
  assert.deepEqual(containersOf({ probes: PER_CONTAINER }), DEFAULTS);
});

test('always, or never', () => {
  assert.deepEqual(containersOf({ containers: { enabled: true } }), DEFAULTS);
  assert.equal(containersOf({ containers: { enabled: false }, probes: PER_CONTAINER }), undefined);
});

test('its keys, and what they refuse', () => {
  const all = { enabled: true, max: 250, cgroup: '/host/cgroup', pod_logs: '/host/pods', keep: '30s' };
  assert.deepEqual(containersOf({ containers: all }), {
    cgroupDir: '/host/cgroup',
    podLogs: '/host/pods',
    max: 250,
    keepMs: 30_000,
  });
  for (const wrong of [
    { max: 252 },
    { max: 0 },
    { cgroup: 'relative' },
    { enabled: 'yes' },
    { keep: '2h' },
    { x: 1 },
  ])
    assert.equal(schema.safeParse({ containers: wrong }).success, false, JSON.stringify(wrong));
});
