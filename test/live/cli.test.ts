/**
 * The command line on the running kernel. Needs root and tracefs. Every instance that it makes has the pid in its name.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findTracefs } from '../../src/tracefs/mount.ts';

const BIN = fileURLToPath(new URL('../../bin/ftrace-exporter.js', import.meta.url));
const INSTANCE = `ftx-cli-${process.pid}`;
const dir = join(findTracefs({ mayMount: true }), 'instances', INSTANCE);
const directory = mkdtempSync(join(tmpdir(), 'ftrace-exporter-live-'));
const children: ChildProcess[] = [];

const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('FTRACE_EXPORTER_'));
const env = { ...Object.fromEntries(inherited), FTRACE_EXPORTER_INSTANCE: INSTANCE };

after(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const leftover of [dir, `${dir}-record`, `${dir}-other`])
    if (existsSync(leftover)) rmdirSync(leftover);
  rmSync(directory, { recursive: true });
});

interface Running {
  child: ChildProcess;
  stderr(): string;
  /** Exit status, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals | null>;
}

function start(args: string[], nodeFlags: string[] = []): Running {
  const child = spawn(process.execPath, [...nodeFlags, BIN, ...args], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.on('close', (status, signal) => resolve(status ?? signal));
  });
  return { child, stderr: () => stderr, ended };
}

/** URL of the metrics, once the agent serves them. */
async function served(running: Running): Promise<string> {
  const urlInLog = () => /serving metrics.* url=(\S+)/.exec(running.stderr())?.[1];
  let over = false;
  void running.ended.then(() => {
    over = true;
  });
  while (urlInLog() === undefined && !over) await new Promise((resolve) => setTimeout(resolve, 20));
  const url = urlInLog();
  assert.ok(url, running.stderr());
  return url;
}

const ANY_PORT = ['--web.listen-address', '127.0.0.1:0'];

test('run serves metrics of the kernel, survives SIGHUP, and leaves nothing behind on SIGTERM', async () => {
  const running = start(['run', ...ANY_PORT]);
  const url = await served(running);
  assert.ok(existsSync(dir));
  running.child.kill('SIGHUP');
  const text = await (await fetch(url)).text();
  assert.match(text, /^ftrace_exporter_source_info\{source="live"\} 1$/m);
  assert.match(text, /^ftrace_sched_switches_total\{cpu="0",kind="voluntary"\} \d+$/m);
  assert.match(text, /^process_cpu_seconds_total /m);
  assert.equal(await (await fetch(new URL('/readyz', url))).text(), 'ready\n');
  running.child.kill('SIGTERM');
  assert.equal(await running.ended, 0, running.stderr());
  assert.equal(existsSync(dir), false);
  assert.match(running.stderr(), /config reloaded.* cause=SIGHUP/);
});

test('a broken journal does not concern an agent that needs none, not even at its end', async () => {
  const journal = join(directory, `${INSTANCE}.journal.json`);
  writeFileSync(journal, '{');
  const running = start(['run', ...ANY_PORT, '--state.dir', directory]);
  const url = await served(running);
  assert.equal(await (await fetch(new URL('/readyz', url))).text(), 'ready\n');
  running.child.kill('SIGTERM');
  assert.equal(await running.ended, 0, running.stderr());
  assert.doesNotMatch(running.stderr(), /level=error/);
  assert.equal(readFileSync(journal, 'utf8'), '{');
  assert.equal(existsSync(dir), false);
});

test('a signal at any time while starting leaves nothing behind', async () => {
  for (const delayMs of [100, 200, 300, 400, 500, 600, 700, 800]) {
    const running = start(['run', ...ANY_PORT]);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    running.child.kill('SIGINT');
    const end = await running.ended;
    assert.ok(end === 0 || end === 'SIGINT', `${end} after ${delayMs} ms: ${running.stderr()}`);
    assert.equal(existsSync(dir), false, `an instance is left after a signal at ${delayMs} ms`);
  }
});

test('a port that is taken ends run with 1, and the instance is gone', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const running = start(['run', '--web.listen-address', `127.0.0.1:${address.port}`]);
  assert.equal(await running.ended, 1);
  server.close();
  assert.match(running.stderr(), /EADDRINUSE/);
  assert.equal(existsSync(dir), false);
});

test('an error that nobody expected ends run with 1, logged, and the instance is gone', async () => {
  const plant = `import { isMainThread } from 'node:worker_threads';
    if (isMainThread) process.on('SIGUSR2', () => { throw new Error('planted'); });`;
  const running = start(
    ['run', ...ANY_PORT],
    ['--import', `data:text/javascript,${encodeURIComponent(plant)}`],
  );
  await served(running);
  assert.ok(existsSync(dir));
  running.child.kill('SIGUSR2');
  assert.equal(await running.ended, 1, running.stderr());
  assert.match(running.stderr(), /level=error .*Error: planted/);
  assert.equal(existsSync(dir), false);
});

test('a second agent does not touch the instance of the first, and names --instance, which works', async () => {
  const first = start(['run', ...ANY_PORT]);
  const url = await served(first);
  const second = start(['run', ...ANY_PORT]);
  assert.equal(await second.ended, 1);
  assert.match(second.stderr(), /EBUSY.*another agent uses it: .*choose another name .* with --instance/);
  const other = start(['run', ...ANY_PORT, '--instance', `${INSTANCE}-other`]);
  const otherUrl = await served(other);
  assert.ok(existsSync(`${dir}-other`));
  assert.equal((await fetch(new URL('/readyz', otherUrl))).status, 200);
  other.child.kill('SIGTERM');
  assert.equal(await other.ended, 0, other.stderr());
  assert.ok(!existsSync(`${dir}-other`));
  const cleanup = spawnSync(process.execPath, [BIN, 'cleanup'], { env, encoding: 'utf8' });
  assert.match(cleanup.stdout, /did not touch the instance/);
  assert.equal((await fetch(new URL('/readyz', url))).status, 200);
  first.child.kill('SIGTERM');
  assert.equal(await first.ended, 0);
});

test('cleanup removes what a killed agent left', async () => {
  const running = start(['run', ...ANY_PORT]);
  await served(running);
  running.child.kill('SIGKILL');
  assert.equal(await running.ended, 'SIGKILL');
  assert.ok(existsSync(dir));
  const cleanup = spawnSync(process.execPath, [BIN, 'cleanup'], { env, encoding: 'utf8' });
  assert.deepEqual([cleanup.status, cleanup.stdout], [0, `removed the instance ${INSTANCE}\n`]);
  assert.equal(existsSync(dir), false);
});

test('cleanup --on-signal waits for the signal, then for a live agent, and cleans up after one that is killed', async () => {
  const running = start(['run', ...ANY_PORT]);
  await served(running);
  const cleanup = spawn(process.execPath, [BIN, 'cleanup', '--on-signal'], { env });
  children.push(cleanup);
  let output = '';
  cleanup.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const ended = new Promise((resolve) => cleanup.on('close', resolve));
  while (output === '') await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(output, `waiting for SIGTERM to clean up after the agent ${INSTANCE}\n`);
  cleanup.kill('SIGTERM');
  const waited = new Promise((resolve) => setTimeout(resolve, 1000, 'still waiting'));
  assert.equal(await Promise.race([ended, waited]), 'still waiting', output);
  running.child.kill('SIGKILL');
  assert.equal(await ended, 0, output);
  assert.match(output, new RegExp(`\nremoved the instance ${INSTANCE}\n$`));
  assert.equal(existsSync(dir), false);
});

test('doctor finds tracefs and the default probes in order', () => {
  const { status, stdout } = spawnSync(process.execPath, [BIN, 'doctor', '--json'], {
    env,
    encoding: 'utf8',
  });
  const report = JSON.parse(stdout);
  assert.equal(status, 0, stdout);
  assert.equal(report.problem, '');
  const sched = report.probes.find((probe: { name: string }) => probe.name === 'sched');
  assert.deepEqual([sched.on, sched.ok, sched.events[0]], [true, true, 'sched:sched_switch']);
});

test('a recording ends early when its terminal goes away, and leaves nothing', async () => {
  const file = join(directory, 'h.dat');
  const running = start(['record', '-o', file, '--duration', '1h']);
  while (!existsSync(`${dir}-record`)) await new Promise((resolve) => setTimeout(resolve, 20));
  running.child.kill('SIGHUP');
  assert.equal(await running.ended, 0, running.stderr());
  assert.equal(existsSync(`${dir}-record`), false);
  assert.ok(existsSync(file));
});

test('a recording ends early on SIGINT, whole, and its replay is marked as one', async () => {
  const file = join(directory, 'r.dat');
  const running = start(['record', '-o', file, '--duration', '1h']);
  while (!existsSync(`${dir}-record`)) await new Promise((resolve) => setTimeout(resolve, 20));
  // The directory of a new instance is visible before the kernel has created the files in it.
  const statsOf = (cpu: string) => join(`${dir}-record`, 'per_cpu', cpu, 'stats');
  const hasRead = () =>
    existsSync(statsOf('cpu0')) &&
    readdirSync(join(`${dir}-record`, 'per_cpu')).some(
      (cpu) => existsSync(statsOf(cpu)) && /^read events: [1-9]/m.test(readFileSync(statsOf(cpu), 'utf8')),
    );
  while (!hasRead()) await new Promise((resolve) => setTimeout(resolve, 20));
  running.child.kill('SIGINT');
  assert.equal(await running.ended, 0, running.stderr());
  assert.equal(existsSync(`${dir}-record`), false);
  assert.ok(statSync(file).size > 4096);
  const replay = spawnSync(process.execPath, [BIN, 'replay', file], {
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  assert.equal(replay.status, 0, replay.stderr);
  const series = replay.stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.ok(series.length > 20);
  for (const line of series) assert.match(line, /source="replay"/);
});
