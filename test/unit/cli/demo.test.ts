/** Without tracefs, `run` must say so and exit. The demo must be labelled as a demo on every series and on the page. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseExposition } from '../../support/exposition.ts';

const BIN = fileURLToPath(new URL('../../../bin/ftrace-exporter.js', import.meta.url));
const NOWHERE = ['--path.tracefs', '/nonexistent', '--web.listen-address', '127.0.0.1:0'];
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

function start(...flags: string[]) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('FTRACE_EXPORTER_'));
  const child = spawn(process.execPath, [BIN, 'run', ...NOWHERE, ...flags], {
    env: Object.fromEntries(inherited),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let stderr = '';
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('close', (status, signal) => resolve(status ?? signal));
  });
  const url = new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
      const match = /serving metrics.*?url=(http:\/\/[^\s/]+)/.exec(stderr)?.[1];
      if (match !== undefined) resolve(match);
    });
    void ended.then((end) => reject(new Error(`it ended with ${end}: ${stderr}`)));
  });
  url.catch(() => undefined);
  return { child, ended, url, stderr: () => stderr };
}

test('run ends with 1 and says what to do', async () => {
  const { ended, stderr } = start();
  assert.equal(await ended, 1);
  assert.match(stderr(), /cannot use tracefs at \/nonexistent.*ENOENT.*mount -t tracefs/);
});

test('the demo is labelled as one on every series, and says so on the page', async () => {
  const { child, ended, url, stderr } = start('--demo-if-unavailable');
  const base = await url;
  const samples = parseExposition(await (await fetch(`${base}/metrics`)).text());
  assert.ok(samples.length > 200, `${samples.length} samples`);
  for (const { name, labels } of samples) assert.equal(labels.source, 'replay', name);
  for (const family of ['sched_runqueue_latency', 'block_io_device', 'softirq_duration']) {
    const count = samples.find(({ name }) => name === `ftrace_${family}_seconds_count`);
    assert.ok(Number(count?.value) > 0, `the demo has no ${family}`);
  }
  assert.equal((await fetch(`${base}/readyz`)).status, 200);
  const page = await (await fetch(base)).text();
  assert.match(page, /<strong>[^<]*not this machine/);
  assert.match(page, /source=&quot;replay&quot;|source="replay"/);
  assert.match(stderr(), /level=warn msg="THIS IS A DEMO/);
  assert.match(stderr(), new RegExp(`serving metrics.* page=${base}/ `), 'the page is mentioned');
  child.kill('SIGTERM');
  assert.equal(await ended, 0, stderr());
});
