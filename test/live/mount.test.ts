/**
 * tracefs is unmounted while an agent runs, and mounted again. The agent has its own mount namespace, so no other
 * program of the machine notices.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, makeBench } from '../support/agent.ts';

const bench = makeBench('mount');
/** Far more than the agent needs, because a busy machine may be slow. */
const LONGEST_MS = 60_000;
const areUp = (value: 0 | 1) => [
  value,
  ...['block', 'irq', 'sched', 'softirq'].map((probe) => `${probe} ${value}`),
];

/** Waits until `/readyz` has this status and text. */
async function readyIs(agent: Agent, status: number, part: string): Promise<void> {
  for (const end = Date.now() + LONGEST_MS; ; await sleep(50)) {
    const response = await fetch(`${agent.url}/readyz`);
    const text = await response.text();
    if (response.status === status && text.includes(part)) return;
    assert.ok(Date.now() < end, `${response.status} ${text}${agent.stderr()}`);
  }
}

test('tracefs that is unmounted takes all probes down, with the reason; mounted again, it brings them back', async () => {
  const root = join(bench.directory, 'tracing');
  mkdirSync(root);
  const mount = `mount -t tracefs nodev ${root}`;
  const agent = await bench.start(
    {},
    {
      wrapper: ['unshare', '--mount', 'sh', '-c', `${mount} && exec "$0" "$@"`],
      flags: ['--path.tracefs', root],
    },
  );
  const inNamespace = (command: string) => {
    const { status, stderr } = spawnSync(
      'nsenter',
      ['--mount', '--target', String(agent.child.pid), 'sh', '-c', command],
      { encoding: 'utf8' },
    );
    assert.equal(status, 0, stderr);
  };
  const isMountedHere = () => readFileSync('/proc/self/mounts', 'utf8').includes(root);
  assert.ok(!isMountedHere(), 'the mount is visible only to the agent');
  const states = async () => {
    const scrape = await agent.scrape();
    const up = scrape
      .series('ftrace_exporter_probe_up')
      .map(({ labels, value }) => `${labels.probe} ${value}`);
    return [scrape.sum('ftrace_exporter_ready'), ...up.sort()];
  };
  assert.deepEqual(await states(), areUp(1));
  inNamespace(`umount --lazy ${root}`);
  await readyIs(agent, 503, '');
  assert.deepEqual(await states(), areUp(0));
  assert.match(
    agent.stderr(),
    /level=error msg="the capture thread failed" reason="cannot read .*: ENOENT . tracefs was unmounted/,
  );
  await readyIs(agent, 503, `cannot use tracefs at ${root}`);
  assert.deepEqual(await states(), areUp(0));
  inNamespace(mount);
  await readyIs(agent, 200, 'ready');
  assert.deepEqual(await states(), areUp(1));
  assert.equal(await agent.stop(), 0, agent.stderr());
});

test('the kernel does not remove the instance of a running agent', async () => {
  const agent = await bench.start({});
  assert.throws(() => rmdirSync(agent.dir), { code: 'EBUSY' });
  await readyIs(agent, 200, 'ready');
  assert.equal(await agent.stop(), 0, agent.stderr());
});
