/**
 * Several tracers and the default probes in one agent: each has its own buffer, each counts; what this kernel lacks, or
 * has room for only once, is off and says why, and the rest goes on.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LAB_TRACERS, mustOffer } from '../tracers.ts';
import { controlFiles, differences } from './control-files.ts';
import { endWell, getppids, KERNEL, type RunningAgent, startAgent, TRACEFS } from './lab.ts';
import { livesInInstance } from './recording.ts';
import { gained } from './tracer-agent.ts';
import { diskIo, getppidFunction, naps, SCHEDULERS } from './workloads.ts';

const CALLS = 200;
const REQUESTS = 20;
const getppid = getppidFunction();
const has = (name: string) => LAB_TRACERS.some((tracer) => tracer.name === name && mustOffer(tracer, KERNEL));
/** One of the two has the top level to itself. */
const graphAtTop = !livesInInstance('function_graph');

const CONFIG = `
instance: lab-together
probes:
  syscalls: { include: ["getppid"] }
  function: { functions: ["${getppid}"] }
  function_graph: { functions: ["${getppid}"] }
  timerlat: { cpus: "0", period: 10ms }
  wakeup_rt: {}
  blk: { devices: ["vda"] }
`;
const NEVER = 'instance: lab-never\nprobes: { irqsoff: {}, timerlat: { cpus: "0" } }\n';

describe('tracers together', () => {
  let agent: RunningAgent;
  let files: Map<string, string>;
  before(async () => {
    files = controlFiles();
    agent = await startAgent(CONFIG);
  });
  after(() => void agent?.child.kill('SIGKILL'));

  it('are up as far as this kernel has them and has room for them', async () => {
    const samples = await agent.scrape();
    const up = (probe: string) => samples.sum('ftrace_exporter_probe_up', { probe });
    const always = [
      'sched',
      'block',
      'irq',
      'softirq',
      'syscalls',
      'function',
      'function_graph',
      'wakeup_rt',
    ];
    for (const probe of always) assert.equal(up(probe), 1, `${probe}: ${agent.stderr()}`);
    assert.equal(up('timerlat'), has('timerlat') ? 1 : 0);
    assert.equal(up('blk'), graphAtTop ? 0 : 1);
    if (graphAtTop) assert.match(agent.stderr(), /probe=blk/);
  });

  it('count the same calls, each in its own way, and everything else beside', async () => {
    const gain = await gained(
      agent,
      () => {
        getppids(0, CALLS);
        diskIo(REQUESTS);
        naps(20, SCHEDULERS.wakeup_rt);
      },
      (so) => so('ftrace_function_duration_seconds_count', { function: getppid }) >= CALLS,
    );
    const calls = gain('ftrace_function_calls_total', { function: getppid });
    assert.ok(calls >= CALLS && calls < CALLS + 10, `${calls} calls`);
    assert.equal(gain('ftrace_function_duration_seconds_count', { function: getppid }), calls);
    assert.equal(gain('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' }), calls);
    assert.equal(gain('ftrace_block_io_device_seconds_count', { device: 'vda' }), 2 * REQUESTS);
    if (!graphAtTop)
      assert.equal(gain('ftrace_blk_actions_total', { device: 'vda', action: 'completed' }), 2 * REQUESTS);
    if (has('timerlat')) assert.ok(gain('ftrace_timerlat_latency_seconds_count', { context: 'thread' }) > 0);
    const samples = await agent.scrape();
    assert.ok(samples.sum('ftrace_latency_tracer_records_total', { tracer: 'wakeup_rt' }) > 0);
  });

  it('arm the functions named and no other', () => {
    const enabled = readFileSync(join(TRACEFS, 'enabled_functions'), 'utf8').trim().split('\n');
    assert.deepEqual(
      enabled.map((line) => line.split(' ')[0]),
      [getppid],
    );
  });

  it('lose nothing, and leave tracefs as it was', async () => {
    if (graphAtTop || !has('timerlat')) {
      // It has said that a probe is off, as it should.
      agent.child.kill('SIGTERM');
      assert.equal(await agent.ended, 0, agent.stderr());
    } else await endWell(agent);
    assert.deepEqual(differences(files, controlFiles()), []);
  });
});

describe('a tracer that this kernel lacks', () => {
  it('is off, which is said with the reason, and the agent runs', async () => {
    const agent = await startAgent(NEVER);
    try {
      const samples = await agent.scrape();
      assert.equal(samples.sum('ftrace_exporter_probe_up', { probe: 'irqsoff' }), 0);
      assert.ok(samples.values('ftrace_exporter_probe_up', 'probe').includes('irqsoff'));
      assert.equal(samples.sum('ftrace_exporter_probe_up', { probe: 'timerlat' }), has('timerlat') ? 1 : 0);
      assert.equal(samples.sum('ftrace_exporter_probe_up', { probe: 'sched' }), 1);
      const { body } = await agent.get('/api/v1/status');
      const { probes } = JSON.parse(body) as { probes: { name: string; up: boolean; reason: string }[] };
      const off = probes.find(({ name }) => name === 'irqsoff');
      assert.match(off?.reason ?? '', /irqsoff/, body);
    } finally {
      agent.child.kill('SIGTERM');
      await agent.ended;
    }
  });
});
