/** Compares the tables of docs/metrics.md with the program's own list. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertNoAdvice } from '../../support/advice.ts';

const root = new URL('../../../', import.meta.url).pathname;
const FILE = 'docs/metrics.md';

test('docs/metrics.md names every metric with its labels, and no other', () => {
  const documented = new Map<string, string>();
  for (const line of readFileSync(`${root}${FILE}`, 'utf8').split('\n')) {
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
  assertNoAdvice([
    ...[...listed]
      .filter(([name]) => !documented.has(name))
      .map(([name, labels]) => `${FILE}: add a row for \`${name}\`, labels ${labels || '(none)'}`),
    ...[...listed]
      .filter(([name, labels]) => documented.has(name) && documented.get(name) !== labels)
      .map(([name, labels]) => `${FILE}: the row of \`${name}\` must have the labels ${labels || '(none)'}`),
    ...[...documented.keys()]
      .filter((name) => !listed.has(name))
      .map((name) => `${FILE}: remove the row of \`${name}\`, which the program does not have`),
  ]);
});
