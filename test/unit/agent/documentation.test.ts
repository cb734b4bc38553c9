/** Compares the tables of docs/metrics.md with the program's own list. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../../../', import.meta.url).pathname;

test('docs/metrics.md names every metric with its labels, and no other', () => {
  const documented = new Map<string, string>();
  for (const line of readFileSync(`${root}docs/metrics.md`, 'utf8').split('\n')) {
    const row = /^\|(?: `\w+` \|)? `(ftrace_\w+)` \| ([^|]*)\|/.exec(line);
    if (row !== null) documented.set(row[1], row[2].replaceAll('*', '').trim());
  }
  const listed = new Map<string, string>();
  const text = execFileSync(process.execPath, [`${root}bin/ftrace-exporter.js`, 'list', 'metrics'], {
    encoding: 'utf8',
  });
  for (const line of text.trim().split('\n')) {
    const [, name, labels] = /^(\S+)\s+\{([^}]*)\}/.exec(line) ?? [];
    listed.set(name, labels);
  }
  assert.deepEqual([...documented].sort(), [...listed].sort());
});
