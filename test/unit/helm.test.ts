/** The generated files of the committed chart must be up to date, and the chart must contain no other files. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { generatedFiles } from '../../helm/src/all.ts';
import { MATRIX } from '../e2e/chart.ts';

const CHART = new URL('../../helm/ftrace-exporter/', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, CHART), 'utf8');

test('the committed chart is what npm run charts writes', () => {
  const files = generatedFiles();
  for (const [path, text] of files) {
    assert.ok(
      read(path) === text,
      `helm/ftrace-exporter/${path} is not what its source says: npm run generate`,
    );
  }
  const copies = readdirSync(new URL('files/', CHART), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
  const made = [...files.keys()].filter((path) => path.startsWith('files/'));
  assert.deepEqual(copies.sort(), made.map((path) => path.split('/').at(-1)).sort());
});

test('the chart has the version of the program', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const chart = parse(read('Chart.yaml')) as { version: string; appVersion: string };
  assert.equal(chart.appVersion, version);
  assert.equal(chart.version, version);
});

/** Paths of the values that are not maps, or are empty ones. */
function leavesOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  const entries = isMap ? Object.entries(value) : [];
  if (entries.length === 0) return [path];
  return entries.flatMap(([key, inner]) => leavesOf(inner, [...path, key]));
}

test('every value is set by a set of values that the tests render', () => {
  const values = parse(read('values.yaml'));
  const at = (set: unknown, path: readonly string[]) =>
    path.reduce<unknown>((map, key) => (map as Record<string, unknown> | undefined)?.[key], set);
  const unset = leavesOf(values).filter((path) =>
    Object.values(MATRIX).every((set) => at(set, path) === undefined),
  );
  assert.deepEqual(unset, []);
});

test('every value is explained in the README', () => {
  const rows = read('README.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  assert.ok(rows.length > 60, `${rows.length} rows`);
  for (const row of rows) assert.doesNotMatch(row, /\| {2}\|$/, `no comment in values.yaml: ${row}`);
});

test('the schema of the values has only patterns that Go can compile', () => {
  assert.doesNotMatch(read('values.schema.json'), /"pattern": ".*\(\?<?[=!]/);
});
