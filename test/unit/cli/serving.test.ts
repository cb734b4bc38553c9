/** An agent that serves a recording: what it says when it begins, and that no file in place of its web config stops it. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hashSync } from 'bcryptjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'ftx-serving-'));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

async function serve(...flags: string[]) {
  const args = [join(ROOT, 'bin/ftrace-exporter.js'), 'replay', join(ROOT, 'captures/demo.dat'), '--serve'];
  const child = spawn(process.execPath, [...args, '--web.listen-address', '127.0.0.1:0', ...flags], {
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(FTRACE|OTEL)_/.test(name))),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, 'exit');
  const line = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (let tries = 0; tries < 3000 && child.exitCode === null; tries++) {
      const match = pattern.exec(stderr);
      if (match !== null) return match;
      await sleep(10);
    }
    assert.fail(`no line matches ${pattern}:\n${stderr}`);
  };
  const stop = async () => {
    child.kill('SIGTERM');
    const late = sleep(60_000, ['SIGTERM is not heard'], { ref: false });
    assert.deepEqual(await Promise.race([ended, late]), [0, null], stderr);
  };
  return { line, stop, stderr: () => stderr };
}

test('the probes that it serves are those that are on', async () => {
  const { line, stop, stderr } = await serve('--probe', 'workqueue', '--no-probe', 'irq');
  const [, probes] = await line(/msg="serving metrics".* probes=(\S+)/);
  assert.match(stderr(), /msg="probe is off" probe=workqueue/);
  assert.equal(probes, 'sched,block,softirq');
  await stop();
});

test('a web config that becomes a pipe, a device or a directory stops neither answers nor SIGTERM', async () => {
  const file = join(directory, 'web.yml');
  writeFileSync(join(directory, 'good.yml'), `basic_auth_users: { alice: "${hashSync('secret', 4)}" }\n`);
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  const replaceBy = (target: string) => {
    symlinkSync(target, `${file}.new`);
    renameSync(`${file}.new`, file);
  };
  replaceBy('good.yml');
  const { line, stop } = await serve('--web.config.file', file);
  const [, url] = await line(/msg="serving metrics".* url=(\S+)/);
  const ask = async (headers: Record<string, string>) => {
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(60_000) });
    await answer.body?.cancel();
    return answer.status;
  };
  const authorization = `Basic ${Buffer.from('alice:secret').toString('base64')}`;
  let refused = '';
  const looked = async () => {
    // A request makes the agent look at the file, but at most every 100 ms.
    await sleep(110);
    assert.deepEqual([await ask({}), await ask({ authorization })], [401, 200], refused);
  };
  for (const target of ['fifo', '/dev/zero', directory]) {
    refused = target;
    replaceBy(target);
    await looked();
    await looked();
    replaceBy('good.yml');
    await looked();
  }
  replaceBy('fifo');
  await looked();
  await line(/(?:rejected the changed web config.*not a regular file(?:.|\n)*){4}/);
  await stop();
});
