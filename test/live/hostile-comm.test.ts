/**
 * A task can set its name to any bytes. While tasks with hostile names work, the exposition, the JSON and the page must
 * stay valid, and counts must stay exact.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeBench, parseScrape, type Scrape } from '../support/agent.ts';
import { countsExactly } from '../support/exactly.ts';
import { skipWithout } from '../support/tools.ts';
import { watch } from '../support/witness.ts';

const bench = makeBench('comm');
const CALLS = 2000;

/** The kernel cuts names to 15 bytes. */
const NAMES = [
  'a\nb\n# TYPE x',
  'q"u\\o"te{}=\n',
  '-1 [000] d..1 9',
  '<script>x()//',
  ' 1.5: sys_exit:',
  Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0x80, 0x01, 0x7f, 0x1b, 0x5b, 0x32, 0x4a]),
];

/** Sleeps now and then, so that events of the scheduler contain its name too. */
const workloadNamed = (name: string | Buffer) => `
  const fs = require('node:fs');
  fs.writeFileSync('/proc/self/comm', Buffer.from('${Buffer.from(name).toString('hex')}', 'hex'));
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const work = () => {
    for (let i = 0; i < ${CALLS}; i++) {
      process.ppid;
      if (i % 50 === 0) Atomics.wait(pause, 0, 0, 1);
    }
  };`;

const skip = skipWithout('promtool', 'prometheus');

test('tasks with hostile names change nothing', { skip }, async (t) => {
  const workloads = await Promise.all(NAMES.map((name) => bench.workload(workloadNamed(name))));
  workloads.forEach(({ pid }, i) => {
    // The file ends with a newline. The kernel has cut the name to the length of a comm.
    const comm = readFileSync(`/proc/${pid}/comm`).subarray(0, -1);
    assert.deepEqual(comm, Buffer.from(NAMES[i]).subarray(0, 15));
  });
  const others = watch(bench, ['getppid'], { not: workloads.map(({ pid }) => pid) });
  const agent = await bench.start({
    probes: {
      sched: { per_cpu: true },
      irq: { irq_vectors: true },
      syscalls: {},
      events: { count: ['sched:*', 'task:*', 'signal:*'] },
    },
  });
  const counted = (scrape: Scrape) =>
    scrape.sum('ftrace_syscall_duration_seconds_count', { syscall: 'getppid' });
  await countsExactly({
    t,
    agent,
    others,
    counted,
    work: async () => {
      await Promise.all(workloads.map((workload) => workload.run()));
      return NAMES.length * CALLS;
    },
  });

  const text = await (await fetch(`${agent.url}/metrics`)).text();
  // Every line must be valid. Every metric name must be one of the agent's, and no label may contain a task's name.
  const scrape = parseScrape(text);
  assert.ok(scrape.sum('ftrace_events_total', { event: 'sched:sched_switch' }) > NAMES.length * 40);
  assert.equal(scrape.sum('ftrace_exporter_decode_errors_total'), 0);
  for (const line of text.split('\n')) {
    assert.match(line, /^$|^# (?:HELP|TYPE) [a-z_]+ |^(?:ftrace|process|nodejs)_[a-z0-9_]+(?:\{|\s)/);
    assert.doesNotMatch(line, /<script|sys_exit:|# TYPE x/);
  }
  const check = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  assert.deepEqual([check.status, check.stdout, check.stderr], [0, '', '']);

  const status = (await (await fetch(`${agent.url}/api/v1/status`)).json()) as {
    capture: { probes: { name: string; up: boolean }[] };
  };
  assert.deepEqual(
    status.capture.probes.filter(({ up }) => !up),
    [],
  );
  const page = await (await fetch(`${agent.url}/`)).text();
  // The page loads its own scripts from files, so an inline script would come from a task's name.
  assert.doesNotMatch(page, /<script(?! (defer|type="module") src="\.\/page\/)/i);
  assert.match(page, /<\/html>\s*$/);

  // A task's name must not begin a new line in the agent's log.
  for (const line of agent.stderr().trimEnd().split('\n')) assert.match(line, /^ts=\S+ level=\w+ msg=/);
  assert.equal(await agent.stop(), 0, agent.stderr());
  others.remove();
  for (const workload of workloads) await workload.end();
});
