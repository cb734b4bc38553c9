import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressBar } from '../../../src/cli/progress.ts';

function terminal(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, written, write: (text: string) => written.push(text) };
}

test('a bar shows the share, at most ten times a second, and goes away', () => {
  let now = 0;
  const screen = terminal(true);
  const bar = progressBar('replaying', screen, () => now);
  bar(1, 4);
  assert.deepEqual(screen.written, []);
  for (const [at, done] of [
    [100, 2],
    [150, 3],
    [200, 4],
  ]) {
    now = at;
    bar(done, 4);
  }
  assert.deepEqual(screen.written, [
    `\rreplaying [${'#'.repeat(15)}${'.'.repeat(15)}] 50 %`,
    `\rreplaying [${'#'.repeat(30)}] 100 %`,
  ]);
  bar.end();
  bar.end();
  assert.deepEqual(screen.written.slice(2), ['\r\x1b[K']);
});

test('nothing is written if the output is no terminal', () => {
  let now = 0;
  const pipe = terminal(false);
  const bar = progressBar('replaying', pipe, () => now);
  now = 1000;
  bar(1, 2);
  bar.end();
  assert.deepEqual(pipe.written, []);
});
