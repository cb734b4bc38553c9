/**
 * A CPU goes offline and comes back while the agent runs. Nothing may be lost, the agent may not complain, and the
 * CPU's events must count again.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { endWell, getppids, type RunningAgent, settled, startAgent } from './lab.ts';

const ONLINE = '/sys/devices/system/cpu/cpu1/online';
const CALLS = 1000;
const CONFIG = `
instance: lab-hotplug
probes: { syscalls: {} }
`;

describe('while CPUs come and go', () => {
  let agent: RunningAgent;
  before(async () => {
    agent = await startAgent(CONFIG);
  });
  after(() => {
    agent?.child.kill('SIGKILL');
    writeFileSync(ONLINE, '1');
  });

  const calls = async () =>
    (await agent.scrape()).sum('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' });

  async function exactOn(cpu: number): Promise<void> {
    const start = await calls();
    getppids(cpu, 0);
    const once = (await settled(calls, start, 'the count')) - start;
    getppids(cpu, CALLS);
    const expected = start + 2 * once + CALLS;
    assert.equal(await settled(calls, expected, 'the count of getppid'), expected);
  }

  it('calls count on a CPU before it goes', () => exactOn(1));

  it('calls count on the other while it is gone', async () => {
    writeFileSync(ONLINE, '0');
    assert.equal(readFileSync('/sys/devices/system/cpu/online', 'utf8'), '0\n');
    await exactOn(0);
  });

  it('calls count on it again when it is back', async () => {
    writeFileSync(ONLINE, '1');
    await exactOn(1);
  });

  it('calls made just before it goes are not lost', async () => {
    const start = await calls();
    getppids(1, 0);
    const once = (await settled(calls, start, 'the count')) - start;
    getppids(1, CALLS);
    writeFileSync(ONLINE, '0');
    const expected = start + 2 * once + CALLS;
    assert.equal(await settled(calls, expected, 'the count of getppid'), expected);
    writeFileSync(ONLINE, '1');
  });

  it('nothing is lost, and nobody complains', () => endWell(agent));
});
