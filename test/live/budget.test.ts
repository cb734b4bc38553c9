/** In a storm of syscalls, the agent suspends the probe that costs most, reports it, and resumes the probe later. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, type Config, makeBench } from '../support/agent.ts';

const bench = makeBench('budget');
const off = { enabled: false };
const SUSPENDED = 'ftrace_exporter_probe_suspended_seconds_total';

/** Makes syscalls of one byte until it is ended. Three programs per CPU get enough time even on a busy machine. */
function storm(): () => void {
  const loops = [...cpus(), ...cpus(), ...cpus()].map(() =>
    spawn('dd', ['if=/dev/zero', 'of=/dev/null', 'bs=1'], { stdio: 'ignore' }),
  );
  const end = () => {
    for (const loop of loops) loop.kill('SIGKILL');
  };
  bench.atEnd(end);
  return end;
}

async function stateOf(agent: Agent) {
  const scrape = await agent.scrape();
  const status = (await (await fetch(`${agent.url}/api/v1/status`)).json()) as {
    ready: boolean;
    capture: {
      probes: { name: string; up: boolean; reason: string }[];
      kinds: { kind: string; up: boolean; reason: string }[];
      budget?: { cores: number; suspended: { probe: string; until: string }[] };
      warnings: string[];
    };
  };
  const enabled = (event: string) =>
    readFileSync(join(agent.dir, 'events', event, 'enable'), 'utf8').trim() === '1';
  return {
    scrape,
    status,
    up: (probe: string) => scrape.sum('ftrace_exporter_probe_up', { probe }),
    isRecorded: enabled('raw_syscalls/sys_enter') && enabled('raw_syscalls/sys_exit'),
    isSuspended: status.capture.budget?.suspended.some(({ probe }) => probe === 'syscalls') ?? false,
    isSchedRecorded: enabled('sched/sched_switch') && enabled('sched/sched_wakeup'),
  };
}

/** Polls rarely, because each scrape takes a part of the budget. */
async function until(agent: Agent, condition: (state: Awaited<ReturnType<typeof stateOf>>) => boolean) {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const state = await stateOf(agent);
    if (condition(state)) return state;
    assert.ok(performance.now() < deadline, `not within 120 s: ${JSON.stringify(state.status)}`);
    await sleep(2500);
  }
}

/** `bench.start` adds the instance and the address. */
const CONFIG: Config = {
  probes: { sched: { essential: true }, syscalls: {}, block: off, irq: off, softirq: off },
  history: { enabled: false },
  drain_interval: '100ms',
  spans: { kinds: { syscalls: { threshold: '1h' } }, essential: true },
};
const BUDGET = { cpu: '6%', window: '1s', suspend: '20s', suspend_at_most: '20s' };
const isSuspended = ({ up, isSuspended, isRecorded }: Awaited<ReturnType<typeof stateOf>>) =>
  up('syscalls') === 0 && isSuspended && !isRecorded;

test('over its budget the agent suspends the most expensive probe, says so, and resumes it', async () => {
  const agent = await bench.start({ ...CONFIG, budget: BUDGET });
  const calm = storm();
  const stormy = await until(agent, isSuspended);
  assert.ok(stormy.isSchedRecorded, 'the kernel does not record the events of an essential probe');
  assert.ok(stormy.scrape.sum(SUSPENDED, { probe: 'syscalls' }) > 0);
  assert.deepEqual(
    stormy.scrape.series(SUSPENDED).map(({ labels }) => labels.probe),
    ['syscalls'],
    'an essential probe has no such series',
  );
  assert.equal(stormy.up('sched'), 1);
  assert.ok(stormy.status.ready, 'a suspension is no reason not to be ready');
  const { probes, kinds, budget, warnings } = stormy.status.capture;
  const reason = probes.find(({ name }) => name === 'syscalls')?.reason ?? '';
  assert.match(
    reason,
    /^suspended until \S+Z: the agent used [\d.]+ % of a core within 1 s, more than its budget of 6 %/,
  );
  assert.deepEqual(
    budget?.suspended.map(({ probe }) => probe),
    ['syscalls'],
  );
  assert.match(warnings.join(), /probe syscalls is suspended until/);
  assert.match(kinds.find(({ kind }) => kind === 'syscalls')?.reason ?? '', /suspended until/);
  assert.match(await (await fetch(agent.url)).text(), /suspended until/);
  assert.match(agent.stderr(), /suspended a probe: the agent is over its budget.*probe=syscalls/);

  calm();
  const resumed = /resumed a suspended probe.*probe=syscalls/;
  const after = await until(agent, ({ isRecorded }) => isRecorded && resumed.test(agent.stderr()));
  // The agent does not take its own switches for those of another user, and they did not disturb the essential probe.
  assert.equal(after.scrape.sum('ftrace_exporter_events_lost_total', { reason: 'paused' }), 0);
  assert.equal(
    after.scrape.sum('ftrace_exporter_unmatched_total', { probe: 'sched', reason: 'suspended' }),
    0,
  );
  // Calls that began before the suspension end after it.
  const isVoid = { probe: 'syscalls', reason: 'suspended' };
  await until(agent, ({ scrape }) => scrape.sum('ftrace_exporter_unmatched_total', isVoid) > 0);
  assert.doesNotMatch(agent.stderr(), /events are no longer recorded/);
  assert.equal(await agent.stop(), 0, agent.stderr());
});

test('a reload without the budget resumes what is suspended', async () => {
  const agent = await bench.start({ ...CONFIG, budget: BUDGET }, { flags: ['--web.enable-lifecycle'] });
  const calm = storm();
  const before = (await until(agent, isSuspended)).scrape;
  calm();
  const whole = { instance: agent.instance, web: { listen_address: '127.0.0.1:0' }, ...CONFIG };
  writeFileSync(join(bench.directory, `${agent.instance}.yaml`), JSON.stringify(whole));
  const answer = await fetch(`${agent.url}/-/reload`, { method: 'POST' });
  assert.equal(answer.status, 200, await answer.text());
  const after = await stateOf(agent);
  assert.equal(after.up('syscalls'), 1);
  assert.ok(after.isRecorded, 'the kernel does not record the events of a resumed probe');
  assert.equal(after.status.capture.budget, undefined);
  assert.deepEqual(after.scrape.series(SUSPENDED), []);
  for (const probe of ['sched', 'syscalls']) {
    const eventsIn = (scrape: typeof before) => scrape.sum('ftrace_exporter_probe_events_total', { probe });
    assert.ok(eventsIn(after.scrape) >= eventsIn(before), `events of ${probe} go back`);
  }
  assert.equal(await agent.stop(), 0, agent.stderr());
});
