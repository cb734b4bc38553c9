/**
 * Reloads configs that change more than probes of events: uprobes, traces, containers and a tracer. Everything that the
 * config does not change must continue meanwhile.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dynamicGroup } from '../../src/model/dynamic-event.ts';
import { definedEvents } from '../../src/tracefs/dynamic-events.ts';
import { type Agent, type Config, makeBench, TRACEFS } from '../support/agent.ts';
import { makeLoopDisk } from '../support/loop-disk.ts';
import { topLevelTurn, undisturbed } from '../support/top-level.ts';

const bench = makeBench('reload-parts');
const LIBC = /\S+\/libc\.so\.6$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0] ?? '';
const state_dir = join(bench.directory, 'state');
const OFF = Object.fromEntries(['block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]));
const FLAGS = { flags: ['--web.enable-lifecycle'] };

async function change(agent: Agent, config: Config): Promise<void> {
  const whole = { instance: agent.instance, web: { listen_address: '127.0.0.1:0' }, state_dir, ...config };
  writeFileSync(join(bench.directory, `${agent.instance}.yaml`), JSON.stringify(whole));
  const response = await fetch(`${agent.url}/-/reload`, { method: 'POST' });
  assert.deepEqual([response.status, await response.text()], [200, 'config reloaded\n'], agent.stderr());
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await isTrue())) {
    assert.ok(performance.now() < deadline, `not within 30 s: ${what}`);
    await sleep(50);
  }
}

/** Returns a function that fails if one of these counters has become smaller since its last call. */
function watchCounters(agent: Agent, names: readonly string[]): () => Promise<void> {
  const before = new Map<string, number>();
  return async () => {
    const scrape = await agent.scrape();
    for (const name of names)
      for (const { labels, value } of scrape.series(name)) {
        const key = name + JSON.stringify(labels);
        assert.ok(value >= (before.get(key) ?? 0), `${key} went back from ${before.get(key)} to ${value}`);
        before.set(key, value);
      }
    assert.ok(before.size > 0);
  };
}

const uprobes = { skip: !existsSync(join(TRACEFS, 'uprobe_events')) || LIBC === '' };
test('a uprobe is defined, changed and removed, and its loss is not blamed on others', uprobes, async () => {
  const metric = (name: string, symbol: string) => ({
    ...{ name, help: 'Calls.' },
    event: { uprobe: `${LIBC}:${symbol}` },
  });
  const defined = () => definedEvents(TRACEFS, dynamicGroup(agent.instance)).length;
  const agent = await bench.start({ probes: OFF, state_dir }, FLAGS);
  const goesOn = watchCounters(agent, ['ftrace_sched_switches_total', 'ftrace_exporter_probe_events_total']);
  await goesOn();
  assert.equal(defined(), 0);
  const workload = await bench.workload('const work = () => { Buffer.alloc(1 << 20); };');
  const grows = async (name: string) => {
    const first = (await agent.scrape()).sum(name);
    await until(`${name} grows`, async () => {
      await workload.run();
      return (await agent.scrape()).sum(name) > first;
    });
  };
  await change(agent, { probes: OFF, metrics: [metric('one_total', 'malloc')] });
  assert.equal(defined(), 1);
  await grows('ftrace_one_total');
  await change(agent, { probes: OFF, metrics: [metric('one_total', 'free'), metric('two_total', 'malloc')] });
  assert.equal(defined(), 2);
  await goesOn();
  await grows('ftrace_one_total');
  await grows('ftrace_two_total');
  await change(agent, { probes: OFF });
  assert.equal(defined(), 0);
  await goesOn();
  const last = await agent.scrape();
  for (const name of ['ftrace_one_total', 'ftrace_two_total']) assert.deepEqual(last.series(name), []);
  assert.equal(last.sum('ftrace_exporter_capture_restarts_total'), 0);
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.doesNotMatch(agent.stderr(), /another user/);
  await workload.end();
});

test('traces and containers are turned on, changed and off while the counters of their probes go on', async () => {
  const syscalls = { include: ['clock_nanosleep', 'getppid', 'read'] };
  const traces = (threshold: string) => ({
    kinds: { syscalls: { threshold, include: ['clock_nanosleep'] } },
  });
  const agent = await bench.start({ probes: { ...OFF, syscalls }, state_dir }, FLAGS);
  const goesOn = watchCounters(agent, [
    'ftrace_syscall_duration_seconds_count',
    'ftrace_syscall_duration_seconds_sum',
    'ftrace_exporter_probe_events_total',
  ]);
  const workload = await bench.workload(`
    const { execFileSync } = require('node:child_process');
    const work = () => void execFileSync('sleep', ['0.02']);`);
  const newest = async () => {
    const response = await fetch(`${agent.url}/api/v1/slow`);
    return ((await response.json()) as { last: { traceId: string }[] }).last.at(0)?.traceId;
  };
  assert.equal((await fetch(`${agent.url}/api/v1/slow`)).status, 404);
  await workload.run();
  await goesOn();
  await change(agent, { probes: { ...OFF, syscalls }, spans: traces('10ms') });
  await goesOn();
  await until('a slow call is shown', async () => {
    await workload.run();
    return (await newest()) !== undefined;
  });
  await change(agent, { probes: { ...OFF, syscalls }, spans: traces('15ms') });
  await goesOn();
  const before = await newest();
  assert.ok(before !== undefined, 'earlier traces stay');
  await until('another slow call is shown', async () => {
    await workload.run();
    return (await newest()) !== before;
  });
  await change(agent, { probes: { ...OFF, syscalls, sched: { per_container: true } } });
  await goesOn();
  await until('waits are counted by container', async () => {
    const scrape = await agent.scrape();
    return scrape.series('ftrace_container_runqueue_wait_seconds_total').length > 0;
  });
  await change(agent, { probes: { ...OFF, syscalls } });
  await goesOn();
  const last = await agent.scrape();
  for (const name of [
    'ftrace_container_runqueue_wait_seconds_total',
    'ftrace_exporter_container_lookups_total',
  ])
    assert.deepEqual(last.series(name), []);
  assert.equal(last.sum('ftrace_exporter_capture_restarts_total'), 0);
  assert.equal(await agent.stop(), 0, agent.stderr());
  await workload.end();
});

const busy = await topLevelTurn();
const tracer = undisturbed(async () => {
  const disk = makeLoopDisk(bench).name;
  const isOn = () => readFileSync(`/sys/block/${disk}/trace/enable`, 'latin1').trim() !== '0';
  const blk = (more: object = {}) => ({ devices: [disk], ...more });
  const actions = async () => (await agent.scrape()).sum('ftrace_blk_actions_total');
  const agent = await bench.start({ probes: OFF, state_dir }, FLAGS);
  const goesOn = watchCounters(agent, ['ftrace_sched_switches_total', 'ftrace_exporter_probe_events_total']);
  await goesOn();
  assert.equal(isOn(), false);
  await change(agent, { probes: { ...OFF, blk: blk() } });
  assert.equal(isOn(), true);
  await until('a write is counted', async () => {
    writeFileSync(`/dev/${disk}`, Buffer.alloc(65536), { flag: 'rs+' });
    return (await actions()) > 0;
  });
  const before = await actions();
  await change(agent, { probes: { ...OFF, blk: blk(), irq: {} } });
  assert.ok((await actions()) >= before, 'it went on');
  await goesOn();
  await change(agent, { probes: { ...OFF, blk: blk({ max_series: 50 }) } });
  assert.equal(isOn(), true);
  await change(agent, { probes: OFF });
  assert.equal(isOn(), false);
  await goesOn();
  const last = await agent.scrape();
  assert.deepEqual(last.series('ftrace_blk_actions_total'), []);
  assert.doesNotMatch(last.text, /"blk"/);
  assert.equal((await fetch(`${agent.url}/readyz`)).status, 200);
  assert.equal(await agent.stop(), 0, agent.stderr());
});
test('a tracer is started, goes on, is replaced and stopped', { skip: busy ?? false }, tracer);
