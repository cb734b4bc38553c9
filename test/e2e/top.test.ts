/** Tests `top` in a real terminal (tmux), on the demo recording and on an agent that stops. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BIN, makeBench, needTool } from '../support/agent.ts';

const DEMO = fileURLToPath(new URL('../../captures/demo.dat', import.meta.url));
const TIMEOUT_MS = 30_000;
/** Matches a screen that ends with the shell's prompt. The tests wait for it before they type a command. */
const PROMPT = /READY\.\s*$/;
const bench = makeBench('top');

/** Runs tmux with a server of our own. */
function tmux(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(
    'tmux',
    ['-L', `ftx-${process.pid}`, '-f', '/dev/null', ...args],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(status, 0, `tmux ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Opens a shell in a terminal of 100 columns and 30 lines. */
function openShell() {
  tmux('new-session', '-d', '-s', 'top', '-x', '100', '-y', '30', '-c', bench.directory, 'env PS1=READY. sh');
  const screen = () => tmux('capture-pane', '-p', '-t', 'top');
  const until = async (pattern: RegExp): Promise<string> => {
    const deadline = performance.now() + TIMEOUT_MS;
    for (;;) {
      const text = screen();
      if (pattern.test(text)) return text;
      assert.ok(performance.now() < deadline, `no ${pattern} on the screen:\n${text}`);
      await sleep(100);
    }
  };
  return {
    screen,
    until,
    keys: (...keys: string[]) => tmux('send-keys', '-t', 'top', ...keys),
    type: (text: string) => tmux('send-keys', '-t', 'top', '-l', text),
  };
}

test('views, sort, filter, pause and size; the terminal is as it was after q, Ctrl-C and kill', async (t) => {
  needTool('tmux', 'tmux');
  const agent = await bench.start({}, { command: ['replay', DEMO, '--serve'] });
  const { keys, type, until, screen } = openShell();
  t.after(() => tmux('kill-server'));
  await until(PROMPT);
  const run = async (command: string) => {
    type(command);
    keys('Enter');
  };
  await run('stty -g > before; echo MARK-BEFORE');
  await until(/^MARK-BEFORE\nREADY\.\s*$/m);
  const top = `${process.execPath} ${BIN} top ${agent.url}`;
  const isBack = async (mark: string) => {
    await until(PROMPT);
    await run(`stty -g | cmp - before && echo SAME-${mark}; echo DONE-${mark}`);
    const text = await until(new RegExp(`^DONE-${mark}`, 'm'));
    assert.match(text, new RegExp(`^SAME-${mark}`, 'm'));
    assert.doesNotMatch(text, /events\/s/, 'the screen of top is still there');
  };

  await run(top);
  await until(/\[1 Overview\][\s\S]*Waiting for a CPU/);
  keys('3');
  const disks = await until(/vda read/);
  assert.match(disks, /time\/s\*/);
  assert.match(disks, /vda read .* [\d.]+ [µm]s$/m, 'the last column is whole');
  keys('s');
  await until(/ \/s\*/);
  type('/write');
  keys('Enter');
  const filtered = await until(/filter: write /);
  assert.match(filtered, /vda write/);
  assert.doesNotMatch(filtered, /vda read/);
  keys('p');
  await until(/PAUSED/);
  tmux('resize-window', '-t', 'top', '-x', '80', '-y', '24');
  const small = await until(/q quit/);
  assert.ok(small.split('\n').every((line) => line.length <= 80));
  keys('q');
  await isBack('q');

  await run(top);
  await until(/\[1 Overview\]/);
  keys('C-c');
  await isBack('c');

  await run(`${top} & echo $! > pid; fg`);
  await until(/\[1 Overview\]/);
  const pid = tmux('list-panes', '-t', 'top', '-F', '#{pane_pid}').trim();
  const { stdout } = spawnSync('pgrep', ['-P', pid, '-f', ' top '], { encoding: 'utf8' });
  process.kill(Number(stdout.trim().split('\n')[0]), 'SIGTERM');
  await isBack('k');

  await run(`NO_COLOR=1 ${top}`);
  await until(/\[1 Overview\]/);
  assert.doesNotMatch(tmux('capture-pane', '-e', '-p', '-t', 'top'), /\x1b\[[\d;]*m/);
  await agent.stop();
  await until(/no answer from/);
  keys('q');
  await until(PROMPT);
  assert.doesNotMatch(screen(), /no answer from/);
});

test('--once prints JSON with the shape that docs/top.md describes', async () => {
  const agent = await bench.start({}, { command: ['replay', DEMO, '--serve'] });
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [BIN, 'top', agent.url, ...args], { encoding: 'utf8' });
  const { status, stdout, stderr } = run('--once', '--output', 'json');
  assert.equal(status, 0, stderr);
  const document = JSON.parse(stdout);
  assert.deepEqual(Object.keys(document), [
    'url',
    'time',
    'axis',
    'source',
    'ready',
    'reason',
    'seconds',
    'events_per_second',
    'events_lost',
    'agent_cpu',
    'views',
  ]);
  assert.deepEqual([document.axis, document.source, document.ready], ['recording', 'replay', true]);
  const disks = document.views.find(
    ({ name }: { name: string }) => name === 'ftrace_block_io_device_seconds',
  );
  assert.deepEqual(Object.keys(disks), ['name', 'title', 'kind', 'unit', 'by', 'rows']);
  assert.deepEqual(Object.keys(disks.rows[0]), ['labels', 'per_second', 'busy', 'p50', 'p99']);
  const counted = disks.rows.reduce((sum: number, row: { per_second: number }) => sum + row.per_second, 0);
  assert.equal(
    Math.round(counted * document.seconds),
    (await agent.scrape()).sum('ftrace_block_io_device_seconds_count'),
  );
  assert.match(run('--once').stdout, /Waiting for a CPU/);
  assert.equal(run('--output', 'json').status, 2);
  assert.match(run().stderr, /--once/);
  await agent.stop();
  const gone = run('--once');
  assert.equal(gone.status, 1);
  assert.match(gone.stderr, /no answer from http/);
});
