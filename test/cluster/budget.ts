/** An agent whose CPU budget is low, in a storm of system calls: what its pod shows while a probe is suspended. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Agents, agentStatus, type Pod } from './agents.ts';
import { type Cluster, until } from './cluster.ts';
import { commandOf, kill, podProcesses } from './processes.ts';

export const BUDGET = { cpu: '8%', window: '1s', suspend: '15s', suspend_at_most: '15s' };
const SUSPENDS = 'suspended a probe: the agent is over its budget';
const RESUMES = 'resumed a suspended probe';
const SUSPENDED = 'ftrace_exporter_probe_suspended_seconds_total';

interface Status {
  capture: {
    probes: { name: string; reason: string }[];
    budget: { suspended: { probe: string }[] };
  };
}

export interface Stormy {
  cluster: Cluster;
  agents: Agents;
  pod: Pod;
  /** The probe that the storm makes expensive. */
  probe: string;
  essential: string;
}

/** Waits for log lines rather than for metrics, because each scrape takes a part of the budget. */
export async function suspendsInStorm(
  { cluster, agents, pod, probe, essential }: Stormy,
  t: TestContext,
): Promise<void> {
  const log = () => agents.log(pod);
  const up = (name: string) => agents.scrape(pod).sum('ftrace_exporter_probe_up', { probe: name });
  const suspended = () => agents.scrape(pod).sum(SUSPENDED, { probe });

  const end = await storm(cluster);
  try {
    const line = new RegExp(`${SUSPENDS}.*probe=${probe}`);
    await until('the probe is suspended', () => line.test(log()) || undefined, log);
    const { capture } = agents.get(pod, '/api/v1/status') as Status;
    assert.ok(
      capture.budget.suspended.some((one) => one.probe === probe),
      JSON.stringify(capture.budget),
    );
    const reason = capture.probes.find(({ name }) => name === probe)?.reason ?? '';
    assert.match(reason, /^suspended until \S+Z: the agent used .*, more than its budget of 8 % of a core/);
    t.diagnostic(reason);
    assert.deepEqual([up(probe), up(essential)], [0, 1]);
    assert.ok(suspended() > 0);
    const now = await agents.ready();
    assert.deepEqual([now.metadata.uid, agentStatus(now)?.restartCount], [pod.metadata.uid, 0]);
  } finally {
    end();
  }
  const isLast = (line: string) => log().lastIndexOf(line) > log().lastIndexOf(SUSPENDS);
  await until('the probe is resumed after the storm', () => isLast(RESUMES) || undefined, log);
  await until('it is up', () => up(probe) === 1 || undefined, log);
  t.diagnostic(`suspended for ${suspended().toFixed(1)} s`);
}

/** Makes calls without a pause in the pod of the workload, until the returned function is called. */
async function storm(cluster: Cluster): Promise<() => void> {
  const loop = "const { lchownSync } = require('node:fs'); for (;;) lchownSync('/', 0, 0); // storm";
  const script = `require('node:child_process').spawn(process.execPath, ['-e', process.argv[1]],
    { detached: true, stdio: 'ignore' }).unref()`;
  const { status, output } = cluster.kubectl('exec', 'work', '--', 'node', '-e', script, loop);
  assert.equal(status, 0, output);
  const loops = () => podProcesses().filter((pid) => commandOf(pid).endsWith('// storm'));
  await until('the storm runs', () => loops().length > 0 || undefined);
  return () => {
    for (const pid of loops()) kill(pid, 'SIGKILL');
  };
}
