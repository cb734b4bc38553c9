/**
 * Traces every function of the kernel while a CPU makes calls as fast as it can: far more than the agent can read under
 * emulation. The events read and lost must be exactly those that the kernel counts.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { parseStats } from '../../../src/tracefs/stats.ts';
import type { Samples } from '../../support/samples.ts';
import { CPUS, getppids, type RunningAgent, startAgent, TRACEFS, until } from './lab.ts';

const NAME = 'lab-full';
const DIR = join(TRACEFS, 'instances', `${NAME}-function`);
const CALLS = 20_000;
/** The agent loses most events under the first load, while V8 still interprets its code. */
const LOADS = 4;
const OFF = ['sched', 'block', 'irq', 'softirq'].map((probe) => `${probe}: { enabled: false }`).join(', ');
const CONFIG = `
instance: ${NAME}
buffer: { per_cpu: 1MiB }
probes: { ${OFF}, function: { unfiltered: true } }
`;

const pause = () => writeFileSync(join(DIR, 'tracing_on'), '0');

describe('function tracing at full rate', () => {
  let agent: RunningAgent;
  before(async () => {
    agent = await startAgent(CONFIG);
  });
  after(() => void agent?.child.kill('SIGKILL'));

  it('reads and loses what the kernel says, CPU by CPU', async (t) => {
    const kernelCounts = () =>
      CPUS.map((cpu) => {
        const stats = parseStats(readFileSync(join(DIR, `per_cpu/cpu${cpu}/stats`), 'utf8'), cpu);
        const { entries, readEvents, overrun, commitOverrun, droppedEvents } = stats;
        return { entries, read: readEvents, lost: overrun + commitOverrun + droppedEvents };
      });
    let seconds = 0;
    let lostBefore = 0;
    for (let load = 1; load <= LOADS; load++) {
      const startedMs = performance.now();
      getppids(0, CALLS);
      const took = (performance.now() - startedMs) / 1000;
      const lost = kernelCounts().reduce((sum, cpu) => sum + cpu.lost, 0);
      t.diagnostic(`load ${load}: ${took.toFixed(1)} s, lost ${lost - lostBefore}`);
      seconds += took;
      lostBefore = lost;
    }
    pause();
    const totals = (samples: Samples) =>
      CPUS.map((cpu) => {
        const labels = { buffer: 'function', cpu: String(cpu) };
        const lost = (more = {}) => samples.sum('ftrace_exporter_events_lost_total', { ...labels, ...more });
        return {
          read: samples.sum('ftrace_exporter_events_read_total', labels),
          // The agent counts that this test pauses it.
          lost: lost() - lost({ reason: 'paused' }),
        };
      });
    let counted: { read: number; lost: number }[] = [];
    let ours = counted;
    await until(async () => {
      // The agent switches recording on again.
      pause();
      const stats = kernelCounts();
      counted = stats.map(({ read, lost }) => ({ read, lost }));
      ours = totals(await agent.scrape());
      return stats.every(({ entries }) => entries === 0) && isDeepStrictEqual(ours, counted);
    }, 'the agent has counted what was recorded').catch(() => {});
    const total = counted.reduce((sum, { read, lost }) => sum + read + lost, 0);
    for (const [cpu, { read, lost }] of counted.entries())
      t.diagnostic(`CPU ${cpu}: read ${read}, lost ${lost}`);
    t.diagnostic(`${total} calls in ${seconds.toFixed(1)} s, ${Math.round(total / seconds)} a second`);
    assert.deepEqual(ours, counted);
    assert.ok(total > 10 * CALLS, `only ${total} calls`);
  });

  it('ends well', async () => {
    pause();
    agent.child.kill('SIGTERM');
    assert.equal(await agent.ended, 0, agent.stderr());
    assert.doesNotMatch(agent.stderr(), /another reader takes|has emptied this buffer/);
  });
});
