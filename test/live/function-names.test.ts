/**
 * A label with the address of a kernel function shows the function's name, with either reader and in replay. If names
 * are not available, the metric is off and says why. Needs root, tracefs and setpriv.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { functionAddresses } from '../../src/tracefs/functions.ts';
import { type Agent, makeBench, needTool, settled, TRACEFS } from '../support/agent.ts';
import { replayed } from '../support/replayed.ts';

const METRIC = 'ftrace_work_total';
const PROBE = 'metrics/work_total';
/** Counts queued work, because the kernel queues some all the time, for example for its own statistics. */
const CONFIG = {
  probes: Object.fromEntries(['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }])),
  metrics: [
    {
      name: 'work_total',
      help: 'Work that was queued.',
      event: 'workqueue:workqueue_queue_work',
      labels: { function: { field: 'function', as: 'symbol' } },
    },
  ],
};
const BIN = new URL('../../bin/ftrace-exporter.js', import.meta.url).pathname;
/** Drops CAP_SYSLOG. Without this capability, /proc/kallsyms shows no addresses. */
const NO_SYSLOG = ['setpriv', '--bounding-set', '-syslog', '--inh-caps', '-syslog'];

const bench = makeBench('live-names');
const functions = new Set(
  readFileSync('/proc/kallsyms', 'utf8')
    .split('\n')
    .map((line) => line.split(/\s/)[2]),
);

function assertNamed(names: readonly string[]): void {
  assert.deepEqual(
    names.filter((name) => !functions.has(name)),
    [],
    'every label is a function of this kernel',
  );
}

async function namesOf(agent: Agent): Promise<string[]> {
  const scrape = await settled(agent, (one) => one.series(METRIC).length > 0);
  return scrape.series(METRIC).map(({ labels }) => labels.function);
}

for (const reader of ['raw', 'trace_pipe']) {
  test(`work that is queued has names, reader ${reader}`, async () => {
    assertNamed(await namesOf(await bench.start({ ...CONFIG, reader })));
  });
}

test('a recording has the symbols, so that its replay has the names', () => {
  const config = join(bench.directory, 'record.json');
  writeFileSync(config, JSON.stringify({ ...CONFIG, instance: bench.instanceName('record') }));
  const file = join(bench.directory, 'work.dat');
  const args = [BIN, 'record', '-o', file, '--duration', '3s', '--config.file', config];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const names = [
    ...replayed(file, [], config).exposition.matchAll(/^ftrace_work_total\{.*function="(.*?)"/gm),
  ];
  assert.ok(names.length > 0, 'nothing was queued within three seconds');
  assertNamed(names.map(([, name]) => name));
});

const skip = functionAddresses(TRACEFS) ? 'tracefs shows addresses here, so there are always names' : false;
test('without names it is off, with the reason, and nothing is called unknown', { skip }, async () => {
  needTool('setpriv', 'util-linux');
  const agent = await bench.start({ ...CONFIG, probes: {} }, { wrapper: NO_SYSLOG });
  const scrape = await agent.scrape();
  assert.equal(scrape.sum('ftrace_exporter_probe_up', { probe: PROBE }), 0);
  assert.deepEqual(scrape.series(METRIC), []);
  assert.match(
    agent.stderr(),
    /probe is off.*no function names for event .*: .*kallsyms hides the addresses/,
  );
});
