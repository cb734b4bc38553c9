/**
 * A kernel newer than a tracer's first version must have that tracer: a missing one is a failure, never a skip. If the
 * kernel lacks a tracer, or has room for only one of its kind, the agent turns the probe off, gives the reason and goes
 * on.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LAB_TRACERS, mustOffer, whyNotOffered } from '../tracers.ts';
import { KERNEL, type RunningAgent, startAgent, TRACEFS, until, wantedTracers } from './lab.ts';
import { livesInInstance } from './recording.ts';

describe('the kernel', () => {
  const offered = readFileSync(join(TRACEFS, 'available_tracers'), 'utf8').trim().split(' ');
  for (const tracer of wantedTracers()) {
    const { name } = tracer;
    const whyNot = whyNotOffered(tracer, KERNEL);
    it(`offers ${name}`, { skip: whyNot ?? false }, () =>
      assert.ok(offered.includes(name), offered.join(' ')),
    );
    // The table would be wrong, and the tracer's checks would never run.
    if (whyNot !== undefined)
      it(`has no ${name}, as the table of tracers says`, () => assert.ok(!offered.includes(name)));
  }
});

const CONFIG = `
instance: lab-lacks
probes:
  irqsoff: {}
  timerlat: { cpus: "0", period: 100ms }
  function_graph: { functions: ["__x64_sys_umask"] }
  blk: { devices: ["vda"] }
`;

describe('a tracer that cannot be', () => {
  let agent: RunningAgent;
  let probes: { name: string; up: boolean; reason: string }[] = [];
  before(async () => {
    agent = await startAgent(CONFIG);
    await until(async () => {
      const { status, body } = await agent.get('/api/v1/status');
      if (status === 200)
        probes = (JSON.parse(body) as { capture: { probes: typeof probes } }).capture.probes;
      return status === 200;
    }, 'it tells its status');
  });
  after(async () => {
    agent?.child.kill('SIGTERM');
    await agent?.ended;
  });
  const reasonOf = (name: string) => probes.find((probe) => probe.name === name)?.reason ?? 'not there';

  it('because the kernel is not built with it is off, with the reason', () => {
    for (const tracer of LAB_TRACERS.filter(({ name }) => ['irqsoff', 'timerlat'].includes(name))) {
      const { name } = tracer;
      if (mustOffer(tracer, KERNEL)) assert.equal(reasonOf(name), '');
      else assert.match(reasonOf(name), new RegExp(name));
    }
  });
  it('because another has the top level is off, with the reason', () => {
    assert.equal(reasonOf('function_graph'), '');
    if (livesInInstance('function_graph')) assert.equal(reasonOf('blk'), '');
    else assert.match(reasonOf('blk'), /function_graph/);
  });
  it('leaves the other probes on, and is 0 in ftrace_exporter_probe_up', async () => {
    const samples = await agent.scrape();
    const up = (probe: string) => samples.sum('ftrace_exporter_probe_up', { probe });
    assert.deepEqual(
      probes.map(({ name }) => [name, up(name)]),
      probes.map(({ name, reason }) => [name, reason === '' ? 1 : 0]),
    );
    assert.ok(samples.values('ftrace_exporter_probe_up', 'probe').includes('irqsoff'));
    assert.equal(up('sched'), 1);
  });
});
