/**
 * Declared metrics at functions of a library, on the running kernel: as many calls are counted as are made, and nothing
 * remains defined, whatever ends the agent. Needs root and tracefs.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { dynamicGroup } from '../../src/model/dynamic-event.ts';
import { definedEvents } from '../../src/tracefs/dynamic-events.ts';
import { BIN, makeBench, settled, TRACEFS } from '../support/agent.ts';

const bench = makeBench('uprobes');
const OFF = Object.fromEntries(
  ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]),
);
const LIBC = /\S+\/libc\.so\.6$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0] ?? '';
const N = 20;
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
    const flags = ['cleanup', '--instance', instance, '--state.dir', STATE];
    const { status, stdout } = spawnSync(process.execPath, [BIN, ...flags], { encoding: 'utf8' });
    assert.equal(status, 0, stdout);
    assert.match(stdout, new RegExp(`removed the event ${dynamicGroup(instance)}:getaddrinfo_seconds_start`));
    assert.deepEqual(defined(instance), []);
    assert.equal(defined(other.instance).length, 2);
    assert.equal(await other.stop(), 0);
  });
});
