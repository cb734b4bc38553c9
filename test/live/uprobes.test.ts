/**
 * Declared metrics of calls of library functions on the running kernel: the agent must count all calls, and however it
 * ends, none of its event definitions may remain. Needs root and tracefs.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dynamicGroup } from '../../src/model/dynamic-event.ts';
import { definedEvents } from '../../src/tracefs/dynamic-events.ts';
import { BIN, makeBench, settled, TRACEFS } from '../support/agent.ts';

const bench = makeBench('uprobes');
const OFF = Object.fromEntries(
  ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]),
);
const LIBC = /\S+\/libc\.so\.6$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0] ?? '';
const N = 20;
/** How often an agent is killed while it starts. */
const KILLS = Number(process.env.FTX_KILLS ?? 4);
const STATE = join(bench.directory, 'state');

const getaddrinfo = (name: string) => ({
  name: 'getaddrinfo_seconds',
  help: 'Time to look up a name.',
  start: {
    uprobe: `${LIBC}:getaddrinfo`,
    args: { node: '+0($arg1):string' },
    where: `node == "${name}"`,
  },
  end: { uretprobe: `${LIBC}:getaddrinfo`, args: { ret: '$retval:s32' } },
  ends_alone: true,
  labels: {
    result: { field: 'end.ret', as: 'map', map: { 0: 'ok' }, default: 'failed' },
    node: 'start.node',
  },
});

const defined = (instance: string) => definedEvents(TRACEFS, dynamicGroup(instance));

describe('uprobes', { skip: !existsSync(join(TRACEFS, 'uprobe_events')) || LIBC === '' }, () => {
  test('count the calls of a library function, with its arguments and result', async () => {
    const name = `ftx-${process.pid}.invalid`;
    const workload = await bench.workload(`
      const dns = require('node:dns');
      const look = () => new Promise((resolve) => dns.lookup(${JSON.stringify(name)}, resolve));
      const work = async () => { for (let i = 0; i < ${N}; i++) await look(); };`);
    const agent = await bench.start({
      probes: OFF,
      state_dir: STATE,
      metrics: [
        getaddrinfo(name),
        { name: 'nosuch_total', help: 'A.', event: { uprobe: `${LIBC}:nosuch_function` } },
        { name: 'wrong_total', help: 'A.', event: { uprobe: `${LIBC}:getaddrinfo`, args: { x: '%zz:u64' } } },
      ],
    });
    assert.equal(defined(agent.instance).length, 2);
    await workload.run();
    const labels = { result: 'failed', node: name };
    const scrape = await settled(agent, (one) => one.sum('ftrace_getaddrinfo_seconds_count', labels) >= N);
    assert.equal(scrape.sum('ftrace_getaddrinfo_seconds_count', labels), N);
    assert.match(
      agent.stderr(),
      /probe=metrics\/nosuch_total reason="\S+libc\.so\.6 has no function nosuch_function/,
    );
    assert.match(agent.stderr(), /probe=metrics\/wrong_total reason=".*Invalid register name/);
    assert.equal(await agent.stop(), 0, agent.stderr());
    assert.deepEqual(defined(agent.instance), []);
    await workload.end();
  });

  test('of a killed agent are removed by cleanup, and by the next agent of its name', async () => {
    const metrics = [getaddrinfo('nosuch.invalid')];
    const config = { probes: OFF, state_dir: STATE, metrics };
    const instance = bench.instanceName('killed');
    const other = await bench.start(config);
    for (let round = 0; round < 3; round++) {
      const agent = await bench.start(config, { instance });
      agent.child.kill('SIGKILL');
      await agent.ended;
      assert.equal(defined(instance).length, 2);
    }
    assert.match(
      cleanUp(instance),
      new RegExp(`removed the event ${dynamicGroup(instance)}:getaddrinfo_seconds_start`),
    );
    assert.deepEqual(defined(instance), []);
    assert.equal(defined(other.instance).length, 2);
    assert.equal(await other.stop(), 0);
  });

  test(`an agent killed at ${KILLS} moments of its start leaves nothing that cleanup does not remove`, async () => {
    const uprobe = `${LIBC}:getaddrinfo`;
    const names = Array.from({ length: 60 }, (_, i) => `probe${i}_total`);
    const metrics = names.map((name) => ({ name, help: 'A.', event: { uprobe } }));
    const config = { probes: OFF, state_dir: STATE, metrics };
    const other = await bench.start({ ...config, metrics: metrics.slice(0, 2) });
    const rest = definitionsOfOthers('none');
    assert.equal(rest.length, 2);
    const instance = bench.instanceName('killed');
    const began = performance.now();
    const first = await bench.start(config, { instance });
    const startMs = performance.now() - began;
    assert.equal(defined(instance).length, names.length);
    first.child.kill('SIGKILL');
    await first.ended;
    let partly = 0;
    for (let round = 0; round < KILLS; round++) {
      const agent = bench.launch(config, { instance });
      const isAtFirst = round % 2 === 1;
      if (isAtFirst) while (defined(instance).length === 0 && agent.child.exitCode === null) await sleep(1);
      else await sleep((startMs * 1.1 * (round + 1)) / KILLS);
      agent.child.kill('SIGKILL');
      await agent.ended;
      const count = defined(instance).length;
      if (count > 0 && count < names.length) partly++;
      // In these rounds, the next agent of this name removes the events.
      if (isAtFirst) continue;
      cleanUp(instance);
      assert.deepEqual(defined(instance), [], `round ${round}`);
    }
    cleanUp(instance);
    assert.deepEqual(defined(instance), []);
    assert.deepEqual(definitionsOfOthers(instance), rest);
    console.log(`# killed ${KILLS} times, ${partly} times with a part of the events defined`);
    assert.equal(await other.stop(), 0);
  });
});

/** Runs `cleanup` for this instance. Returns its output. */
function cleanUp(instance: string): string {
  const flags = ['cleanup', '--instance', instance, '--state.dir', STATE];
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...flags], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

/** Dynamic events of other agents of this test. */
function definitionsOfOthers(instance: string): string[] {
  const [all, own] = [`:ftx_ftx_uprobes_${process.pid}_`, `:${dynamicGroup(instance)}/`];
  const lines = readFileSync(join(TRACEFS, 'dynamic_events'), 'utf8').split('\n');
  return lines.filter((line) => line.includes(all) && !line.includes(own));
}
