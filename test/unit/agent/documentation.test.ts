/** Compares the tables of docs/metrics.md with the program's own list. The table of the probes' metrics is generated. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { probeCatalogue } from '../../../src/probes/catalogue.ts';
import { assertNoAdvice } from '../../support/advice.ts';

const root = new URL('../../../', import.meta.url).pathname;
const FILE = 'docs/metrics.md';

test('docs/metrics.md names every metric that is not of a probe, with its labels, and no other', () => {
  const documented = new Map<string, string>();
  for (const line of readFileSync(`${root}${FILE}`, 'utf8').split('\n')) {
    const row = /^\| `(ftrace_\w+)` \| ([^|]*)\|/.exec(line);
    if (row !== null) documented.set(row[1], row[2].replaceAll('*', '').trim());
  }
  const ofProbes = new Set(probeCatalogue.flatMap(({ metrics }) => metrics.map(({ name }) => name)));
  const listed = new Map<string, string>();
  const text = execFileSync(process.execPath, [`${root}bin/ftrace-exporter.js`, 'list', 'metrics'], {
    encoding: 'utf8',
  });
  for (const line of text.trim().split('\n')) {
    const [, name, labels] = /^(\S+)\s+\{([^}]*)\}/.exec(line) ?? [];
    if (!ofProbes.has(name)) listed.set(name, labels);
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
