/**
 * Waits of a SCHED_IDLE task that shares a CPU with a normal one, and those of its children, count in the class `idle`.
 * In its own pid namespace the agent cannot recognise such tasks, and reports that.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { type Agent, makeBench, needTool, type Scrape, settled } from '../support/agent.ts';

const bench = makeBench('class');
const COUNT = 'ftrace_sched_runqueue_latency_seconds_count';
const SUM = 'ftrace_sched_runqueue_latency_seconds_sum';
const CONFIG = {
  probes: { sched: {}, block: { enabled: false }, irq: { enabled: false }, softirq: { enabled: false } },
};
const ONE_CPU = ['taskset', '-c', '0'];
/** Ends after two minutes even if this test is killed. */
const HOG = ['timeout', '120', 'sh', '-c', 'while :; do :; done'];
/** Creates short-lived children, one after the other. */
const MAKER = [
  'timeout',
  '120',
  'sh',
  '-c',
  'while :; do (:); i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done',
];

const idle = (scrape: Scrape) => scrape.sum(COUNT, { class: 'idle' });

/** Runs the commands until `work` is done. */
async function beside<T>(commands: readonly (readonly string[])[], work: () => Promise<T>): Promise<T> {
  const children = commands.map((command) =>
    spawn(command[0], command.slice(1), { stdio: 'ignore', detached: true }),
  );
  bench.atEnd(() => {
    for (const { pid, exitCode, signalCode } of children)
      if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL');
  });
  try {
    return await work();
  } finally {
    for (const child of children) {
      const gone = once(child, 'exit');
      process.kill(-(child.pid as number), 'SIGKILL');
      await gone;
    }
  }
}

const notesOf = async ({ url }: Agent): Promise<string[]> => {
  const { capture } = (await (await fetch(`${url}/api/v1/status`)).json()) as {
    capture: { probes: { name: string; notes?: string[] }[] };
  };
  return capture.probes.find(({ name }) => name === 'sched')?.notes ?? [];
};

test('waits of SCHED_IDLE tasks have the class idle', async (t) => {
  needTool('chrt', 'util-linux');
  const agent = await bench.start(CONFIG);
  assert.deepEqual(await notesOf(agent), []);
  const before = idle(await agent.scrape());
  const commands = [
    [...ONE_CPU, ...HOG],
    ['chrt', '-i', '0', ...ONE_CPU, ...HOG],
    ['chrt', '-i', '0', ...ONE_CPU, ...MAKER],
  ];
  const scrape = await beside(commands, () => settled(agent, (now) => idle(now) - before > 100));
  t.diagnostic(`${idle(scrape)} waits, ${scrape.sum(SUM, { class: 'idle' })} s`);
  assert.ok(idle(scrape) - before > 100);
  assert.ok(scrape.sum(COUNT, { class: 'normal' }) > 0);
  assert.equal(await agent.stop(), 0);
});

test('in a pid namespace of its own the agent says that it cannot recognise them', async () => {
  needTool('unshare', 'util-linux');
  const wrapper = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const agent = await bench.start(CONFIG, { wrapper });
  assert.match((await notesOf(agent)).join(), /class "normal": .*pid namespace/);
  const before = (await agent.scrape()).sum(SUM, { class: 'normal' });
  const commands = [
    [...ONE_CPU, ...HOG],
    ['chrt', '-i', '0', ...ONE_CPU, ...HOG],
  ];
  const scrape = await beside(commands, () =>
    settled(agent, (now) => now.sum(SUM, { class: 'normal' }) - before > 2),
  );
  assert.equal(idle(scrape), 0);
});
