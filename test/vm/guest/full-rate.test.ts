/**
 * Traces every function of the kernel while a CPU makes calls as fast as it can: far more than the agent can read under
 * emulation. The events read and lost must be exactly those that the kernel counts.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseStats } from '../../../src/tracefs/stats.ts';
import type { Samples } from '../../support/samples.ts';
import { CPUS, getppids, type RunningAgent, startAgent, TRACEFS, until } from './lab.ts';

const NAME = 'lab-full';
const DIR = join(TRACEFS, 'instances', `${NAME}-function`);
const CALLS = 20_000;
const OFF = ['sched', 'block', 'irq', 'softirq'].map((probe) => `${probe}: { enabled: false }`).join(', ');
const CONFIG = `
instance: ${NAME}
buffer: { per_cpu: 1MiB }
probes: { ${OFF}, function: { unfiltered: true } }
`;

describe('function tracing at full rate', () => {
  let agent: RunningAgent;
  before(async () => {
    agent = await startAgent(CONFIG);
  });
  after(() => void agent?.child.kill('SIGKILL'));

  it('reads and loses what the kernel says, CPU by CPU', async (t) => {
    const startedMs = performance.now();
    getppids(0, CALLS);
    writeFileSync(join(DIR, 'tracing_on'), '0');
    const seconds = (performance.now() - startedMs) / 1000;
    const stats = CPUS.map(
      (cpu) => () => parseStats(readFileSync(join(DIR, `per_cpu/cpu${cpu}/stats`), 'utf8'), cpu),
    );
    await until(() => stats.every((read) => read().entries === 0), 'what was recorded has been read');
    const totals = (samples: Samples) =>
      CPUS.map((cpu) => {
        const labels = { buffer: 'function', cpu: String(cpu) };
        return {
          read: samples.sum('ftrace_exporter_events_read_total', labels),
          lost: samples.sum('ftrace_exporter_events_lost_total', labels),
        };
      });
    const counted = stats.map((read) => {
      const { readEvents, overrun, commitOverrun, droppedEvents } = read();
      return { read: readEvents, lost: overrun + commitOverrun + droppedEvents };
    });
    let ours = totals(await agent.scrape());
    await until(async () => {
      ours = totals(await agent.scrape());
      return ours.every(({ read }, i) => read >= counted[i].read);
    }, 'the agent has counted it').catch(() => {});
    const total = counted.reduce((sum, { read, lost }) => sum + read + lost, 0);
    for (const [cpu, { read, lost }] of counted.entries())
      t.diagnostic(`CPU ${cpu}: read ${read}, lost ${lost}`);
    t.diagnostic(`${total} calls in ${seconds.toFixed(1)} s, ${Math.round(total / seconds)} a second`);
    assert.deepEqual(ours, counted);
    assert.ok(total > 10 * CALLS, `only ${total} calls`);
  });

  it('ends well', async () => {
    agent.child.kill('SIGTERM');
    assert.equal(await agent.ended, 0, agent.stderr());
    assert.doesNotMatch(agent.stderr(), /another reader takes|has emptied this buffer/);
  });
});
