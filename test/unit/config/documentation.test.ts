/** docs/configuration.md must name every key, default, flag and variable, and its example must be a good config. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { configJsonSchema, loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { SETTINGS, variableOf } from '../../../src/config/settings.ts';

const text = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'ftrace-exporter-docs-'));
after(() => rmSync(directory, { recursive: true }));

interface Schema {
  properties?: Record<string, Schema>;
  default?: unknown;
}

const COMMON = ['enabled', 'per_cpu', 'max_series', 'buckets'];

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

/** Cells of a key's row in the table. */
function row(key: string): string[] {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`| \`${key}\` |`));
  assert.ok(line, `no row for ${key}`);
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.replaceAll('`', '').trim());
}

test('every key of the top level has a row with its default, flag and variable', () => {
  const schema = configJsonSchema() as Schema;
  const { probes: _, ...own } = schema.properties ?? {};
  const all = leaves({ properties: own }, []);
  const found = all.filter(([key]) => !key.startsWith('spans.kinds.'));
  for (const [key, fallback] of all)
    if (!found.some(([at]) => at === key)) assert.equal(row(key)[1], shown(fallback), key);
  assert.deepEqual(found.map(([key]) => key).sort(), SETTINGS.map(({ key }) => key).sort());
  for (const [key, fallback] of found) {
    const [, shownDefault, flag, variable] = row(key);
    assert.equal(shownDefault, String(fallback ?? ''), key);
    assert.equal(flag, SETTINGS.find((setting) => setting.key === key)?.flag ?? '', key);
    assert.equal(variable, variableOf(key), key);
  }
});

test('every key of every probe has a row', () => {
  const { probes } = (configJsonSchema() as Schema).properties ?? {};
  for (const [key, fallback] of leaves(probes, [])) {
    const [probe, name] = key.split('.');
    assert.match(text, new RegExp(`\`${probe}[\`.]`));
    if (COMMON.includes(name)) row(name);
    else assert.equal(row(key)[1], shown(fallback), key);
  }
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
