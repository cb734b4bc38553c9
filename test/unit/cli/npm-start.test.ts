/** `npm start`: a signal to npm must end the agent. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

test('a SIGTERM to npm ends the agent, cleanly', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'ftrace-exporter-npm-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  // Use the real script, but without the build, because other tests use its output at the same time.
  writeFileSync(
    join(dir, 'package.json'),
    JSON.stringify({ scripts: { build: 'true', start: scripts.start } }),
  );
  for (const name of ['bin', 'node_modules']) symlinkSync(join(ROOT, name), join(dir, name));
  const env = Object.entries(process.env).filter(([name]) => !/^(FTRACE_EXPORTER|npm)_/i.test(name));
  const flags = ['--path.tracefs', '/nonexistent', '--web.listen-address', '127.0.0.1:0'];
  const npm = spawn('npm', ['start', '--', ...flags], {
    cwd: dir,
    env: Object.fromEntries(env),
    stdio: ['ignore', 'ignore', 'pipe'],
    // Run it in its own process group, so that no process remains after a failure.
    detached: true,
  });
  t.after(() => {
    try {
      process.kill(-Number(npm.pid), 'SIGKILL');
    } catch {}
  });
  let stderr = '';
  // The agent has the pipe open too, so `close` comes only after the agent has ended.
  const closed = new Promise((resolve) => npm.stderr.once('close', resolve));
  npm.stderr.on('data', (chunk) => {
    stderr += chunk;
    if (/serving metrics/.test(stderr) && !npm.killed) npm.kill('SIGTERM');
  });
  const late = setTimeout(() => npm.stderr.destroy(), 40_000);
  await closed;
  clearTimeout(late);
  assert.match(stderr, /msg=stopping signal=SIGTERM\n.*msg=stopped status=0/s);
});
