/**
 * Reloads the config of a running agent. Probes that do not change must not lose a call, probes that change are
 * replaced, a wrong config is refused, and many reloads leave nothing behind.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, type Config, makeBench, readTrimmed, type Scrape } from '../support/agent.ts';
import { callsOver, countsExactly } from '../support/exactly.ts';
import { watch } from '../support/witness.ts';

const bench = makeBench('reload');
const ROUNDS = Number(process.env.RELOAD_ROUNDS ?? 40);
const GETPPID = { syscall: 'getppid' };
const CALLS = 300_000;
const OFF = Object.fromEntries(['block', 'softirq'].map((name) => [name, { enabled: false }]));
const FORKS = { name: 'forks_total', help: 'Forks.', event: 'sched:sched_process_fork' };

const counted = (scrape: Scrape) => scrape.sum('ftrace_syscall_duration_seconds_count', GETPPID);

/** Writes the config file of an agent. */
function configure(agent: Agent, config: Config): void {
  const whole = { instance: agent.instance, web: { listen_address: '127.0.0.1:0' }, ...config };
  writeFileSync(join(bench.directory, `${agent.instance}.yaml`), JSON.stringify(whole));
}

async function reload(agent: Agent): Promise<{ status: number; text: string }> {
  const response = await fetch(`${agent.url}/-/reload`, { method: 'POST' });
  return { status: response.status, text: await response.text() };
}

/** Changes the config and reloads it. */
async function change(agent: Agent, config: Config): Promise<void> {
  configure(agent, config);
  assert.deepEqual(await reload(agent), { status: 200, text: 'config reloaded\n' });
}

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await isTrue())) {
    assert.ok(performance.now() < deadline, `not within 30 s: ${what}`);
    await sleep(50);
  }
}

const enabled = (agent: Agent) => readTrimmed(agent.dir, 'set_event').split('\n');

test('calls across reloads of other probes are counted to the last one, and wrong configs change nothing', async (t) => {
  const workload = await bench.workload(callsOver(2000, CALLS));
  const others = watch(bench, ['getppid'], { not: [workload.pid] });
  const syscalls = { include: ['getppid'] };
  const configs: Config[] = [
    { probes: { ...OFF, syscalls, irq: { per_cpu: true } }, metrics: [FORKS] },
    {
      probes: { ...OFF, syscalls, irq: { enabled: false }, events: { count: ['sched:sched_process_exit'] } },
    },
  ];
  const agent = await bench.start(configs[0], { flags: ['--web.enable-lifecycle'] });
  let rounds = 0;
  const reloads = async () => {
    for (; rounds < ROUNDS; rounds++) {
      if (rounds % 2 === 0) await change(agent, configs[(rounds / 2 + 1) % 2]);
      else {
        configure(agent, { probes: { syscalls: { inclde: [] } } });
        const { status, text } = await reload(agent);
        assert.equal(status, 500);
        assert.match(text, /^config not reloaded: .*:1:\d+: probes\.syscalls\.inclde: unknown key/);
      }
      const scrape = await agent.scrape();
      assert.equal(scrape.sum('ftrace_exporter_config_last_reload_successful'), rounds % 2 === 0 ? 1 : 0);
    }
  };
  await countsExactly({
    ...{ t, agent, others, counted },
    work: async () => {
      rounds = 0;
      const [calls] = await Promise.all([workload.run<number>(), reloads()]);
      return calls;
    },
  });
  const scrape = await agent.scrape();
  assert.equal(scrape.sum('ftrace_exporter_capture_restarts_total'), 0);
  assert.equal((await fetch(`${agent.url}/readyz`)).status, 200);
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.ok(!existsSync(agent.dir));
  assert.doesNotMatch(agent.stderr(), /another reader takes|has emptied this buffer|cannot switch an event/);
  await workload.end();
});

test('a call that is under way at a reload is counted with its whole duration', async () => {
  const workload = await bench.workload(`
    const work = () => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000); };`);
  const probes = { ...OFF, syscalls: { include: ['futex'], buckets: [1.5, 2.5] } };
  const agent = await bench.start({ probes }, { flags: ['--web.enable-lifecycle'] });
  const long = (scrape: Scrape) => {
    const below = (le: string) =>
      scrape.sum('ftrace_syscall_duration_seconds_bucket', { syscall: 'futex', le });
    return below('2.5') - below('1.5');
  };
  const before = long(await agent.scrape());
  const run = workload.run();
  await sleep(500);
  await change(agent, { probes: { ...probes, irq: { enabled: false } } });
  await run;
  await until('the wait of two seconds is counted', async () => long(await agent.scrape()) > before);
  await agent.stop();
  await workload.end();
});

test('probes are turned on and off with their events, filters and series', async () => {
  const agent = await bench.start(
    { probes: { ...OFF, irq: { enabled: false } } },
    { flags: ['--web.enable-lifecycle'] },
  );
  assert.ok(!enabled(agent).includes('sched:sched_process_fork'));
  const noForks = { ...FORKS, where: 'child_pid == 1' };
  await change(agent, { probes: { ...OFF, irq: {} }, metrics: [noForks] });
  assert.ok(enabled(agent).includes('sched:sched_process_fork'));
  assert.ok(enabled(agent).includes('irq:irq_handler_entry'));
  const filter = () => readTrimmed(agent.dir, 'events/sched/sched_process_fork/filter');
  assert.match(filter(), /child_pid == 1/);
  const first = await agent.scrape();
  assert.equal(first.sum('ftrace_exporter_probe_up', { probe: 'metrics/forks_total' }), 1);
  assert.equal(first.sum('ftrace_forks_total'), 0);

  await change(agent, { probes: { ...OFF, irq: {} }, metrics: [FORKS] });
  assert.equal(filter(), 'none');
  const workload = await bench.workload('const work = () => 1;');
  await until('a fork is counted', async () => (await agent.scrape()).sum('ftrace_forks_total') > 0);

  await change(agent, { probes: { ...OFF, irq: { enabled: false } } });
  const last = await agent.scrape();
  assert.ok(!enabled(agent).includes('sched:sched_process_fork'));
  assert.ok(!enabled(agent).includes('irq:irq_handler_entry'));
  for (const name of ['ftrace_forks_total', 'ftrace_irqs_total']) assert.deepEqual(last.series(name), []);
  assert.deepEqual(
    last.series('ftrace_exporter_probe_up').map(({ labels }) => labels.probe),
    ['sched'],
  );
  assert.doesNotMatch(last.text, /probe="(irq|metrics)|metric="ftrace_(irq|forks)/);
  await agent.stop();
  await workload.end();
});

test('what needs a restart is refused by name, and HTTP without the flag has no reload', async () => {
  const agent = await bench.start({ probes: OFF });
  const refused = await reload(agent);
  assert.equal(refused.status, 403);
  assert.match(refused.text, /--web\.enable-lifecycle/);
  configure(agent, { probes: OFF, buffer: { total: '32MiB' }, max_window: '1m' });
  agent.child.kill('SIGHUP');
  await until('the refusal is logged', () =>
    agent.stderr().includes('these keys need a restart: buffer, max_window'),
  );
  configure(agent, { probes: { ...OFF, irq: { enabled: false } } });
  agent.child.kill('SIGHUP');
  await until('the config is reloaded', () => agent.stderr().includes('config reloaded'));
  assert.deepEqual((await agent.scrape()).series('ftrace_irqs_total'), []);
  await agent.stop();
});

test('--config.watch reloads when the content of the file changes', async () => {
  const agent = await bench.start({ probes: OFF }, { flags: ['--config.watch'] });
  assert.match(agent.stderr(), /watching the config for changes.* intervalSeconds=5/);
  const file = join(bench.directory, `${agent.instance}.yaml`);
  writeFileSync(file, `${readFileSync(file, 'utf8')}}`);
  await until('the broken file is refused', () => agent.stderr().includes('config not reloaded'));
  configure(agent, { probes: { ...OFF, irq: { enabled: false } } });
  await until('the config is reloaded', () => agent.stderr().includes('config reloaded'));
  await agent.stop();
});
