/** docs/configuration.md must name every key, default, flag and variable, and its example must be a good config. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { configJsonSchema, loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { SETTINGS, variableOf } from '../../../src/config/settings.ts';
import { assertNoAdvice } from '../../support/advice.ts';

const text = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'ftrace-exporter-docs-'));
after(() => rmSync(directory, { recursive: true }));

interface Schema {
  properties?: Record<string, Schema>;
  default?: unknown;
}

/** Keys that hold values, with their defaults. */
function leaves(schema: Schema, path: string[]): [key: string, fallback: unknown][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) =>
    inner.properties === undefined
      ? [[[...path, name].join('.'), inner.default] as [string, unknown]]
      : leaves(inner, [...path, name]),
  );
}

/** A default as the table shows it; empty if there is none. */
function shown(fallback: unknown): string {
  return typeof fallback === 'string' ? fallback : (JSON.stringify(fallback) ?? '');
}

/** Cells of a key's row in the table; undefined if there is no such row. */
function row(key: string): string[] | undefined {
  return text
    .split('\n')
    .find((line) => line.startsWith(`| \`${key}\` |`))
    ?.split('|')
    .slice(1, -1)
    .map((cell) => cell.replaceAll('`', '').trim());
}

/** What to write if a row does not begin with these cells. */
function adviceFor(key: string, cells: readonly string[]): string[] {
  const actual = row(key)?.slice(1, cells.length + 1);
  if (actual?.join('|') === cells.join('|')) return [];
  const quoted = [key, ...cells].map((cell) => (cell === '' ? '' : `\`${cell}\``));
  return [
    `docs/configuration.md: ${actual === undefined ? 'add' : 'correct'} the row | ${quoted.join(' | ')} | … |`,
  ];
}

// Keys of probes are checked in test/unit/docs/probes.test.ts.
test('every key of the top level has a row with its default, flag and variable', () => {
  const schema = configJsonSchema() as Schema;
  const { probes: _, metrics: __, ...own } = schema.properties ?? {};
  const all = leaves({ properties: own }, []);
  const settings = all.filter(([key]) => !key.startsWith('spans.kinds.'));
  const flags = new Map(SETTINGS.map(({ key, flag }) => [key, flag]));
  assertNoAdvice([
    ...all
      .filter((leaf) => !settings.includes(leaf))
      .flatMap(([key, fallback]) => adviceFor(key, [shown(fallback)])),
    ...settings
      .filter(([key]) => !flags.has(key))
      .map(([key]) => `src/config/settings.ts: add the key ${key}, so that it has a variable`),
    ...[...flags.keys()]
      .filter((key) => !settings.some(([name]) => name === key))
      .map((key) => `src/config/settings.ts: remove ${key}, which the config does not have`),
    ...settings.flatMap(([key, fallback]) =>
      adviceFor(key, [String(fallback ?? ''), flags.get(key) ?? '', variableOf(key)]),
    ),
  ]);
});

test('the example is a good config', () => {
  const yaml = /```yaml\n([^`]*)```/.exec(text)?.[1] ?? '';
  const file = join(directory, 'example.yaml');
  writeFileSync(file, yaml);
  const { probes } = loadAgentConfig({ file, env: {} });
  assert.deepEqual(
    probes.map(({ name }) => name),
    ['sched', 'syscalls', 'block', 'softirq', 'events'],
  );
});
