/** Each list of probes or metrics in the docs must be complete. Each failure says in one line what to write where. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { generatedDocs } from '../../../docs/tables.ts';
import { configJsonSchema } from '../../../src/agent/main/compose-config.ts';
import { LATENCY_TRACERS } from '../../../src/model/tracer.ts';
import { probeCatalogue } from '../../../src/probes/catalogue.ts';
import { assertNoAdvice } from '../../support/advice.ts';
import { declaredProbes } from '../../support/declared-probes.ts';

const ROOT = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

test('generated tables are up to date', () => {
  const old = [...generatedDocs()].filter(([path, text]) => read(path) !== text);
  assertNoAdvice(old.map(([path]) => `${path}: its tables are not what the code says: npm run generate`));
});

interface Schema {
  properties?: Record<string, Schema>;
  default?: unknown;
}

const COMMON = ['enabled', 'per_cpu', 'per_container', 'max_series', 'buckets', 'essential'];
const MAX_SERIES = 500;

test('docs/configuration.md has a row for every key of a probe, and names unusual defaults of common keys', () => {
  const matches = read('docs/configuration.md').matchAll(/^\| `([\w.]+)` \|(.*?)\|/gm);
  const rows = new Map([...matches].map(([, key, cell]) => [key, cell.trim()]));
  const { probes } = (configJsonSchema() as Schema).properties ?? {};
  const advice = Object.entries(probes.properties ?? {}).flatMap(([probe, { properties = {} }]) => {
    const own = Object.entries(properties).filter(([key]) => !COMMON.includes(key));
    const missing = own
      .filter(([key, schema]) => rows.get(`${probe}.${key}`)?.replaceAll('`', '') !== shown(schema.default))
      .map(
        ([key, schema]) =>
          `docs/configuration.md: "Keys of single probes" wants the row | \`${probe}.${key}\` | ${shown(schema.default) && `\`${shown(schema.default)}\``} | … |`,
      );
    const unusual = [
      ...(properties.per_cpu?.default === true ? [['per_cpu', `\`${probe}\``]] : []),
      ...(typeof properties.max_series?.default === 'number' && properties.max_series.default !== MAX_SERIES
        ? [['max_series', `\`${probe}\`: ${properties.max_series.default}`]]
        : []),
    ].filter(([key, words]) => !rows.get(key)?.includes(words));
    return [
      ...missing,
      ...unusual.map(([key, words]) => `docs/configuration.md: add ${words} to the default of \`${key}\``),
    ];
  });
  assertNoAdvice(advice);
});

function shown(fallback: unknown): string {
  return typeof fallback === 'string' ? fallback : (JSON.stringify(fallback) ?? '');
}

test('a dashboard shows every probe', () => {
  const texts = readdirSync(new URL('grafana/dashboards/', ROOT)).map((name) =>
    read(`grafana/dashboards/${name}`),
  );
  const isDeclared = (probe: string) => declaredProbes.some(({ name }) => name === probe);
  const isShown = (metric: string) => texts.some((text) => text.includes(metric));
  assertNoAdvice(
    probeCatalogue
      .filter(({ metrics }) => !metrics.some(({ name }) => isShown(name)))
      .map(
        ({ name, metrics }) =>
          `grafana/src/${isDeclared(name) ? 'kernel' : 'node'}.ts: no panel reads ${metrics.map((metric) => metric.name).join(' or ')} of the probe ${name}: add one to a row, then npm run generate`,
      ),
  );
});

/** The machine that recorded the format texts lacks their events. The lab tests them (test/vm/guest/questions.test.ts). */
const ONLY_IN_LAB = ['nvme'];

test('a unit test imports every probe', () => {
  const directory = 'test/unit/probes/';
  const tests = readdirSync(new URL(directory, ROOT)).filter((name) => name.endsWith('.test.ts'));
  const texts = tests.map((name) => read(`${directory}${name}`)).join('');
  const fileOf = (name: string) =>
    (LATENCY_TRACERS as readonly string[]).includes(name) ? 'latency' : name.replaceAll('_', '-');
  assertNoAdvice(
    probeCatalogue
      .filter(({ name }) => !ONLY_IN_LAB.includes(name) && !texts.includes(`/probes/${fileOf(name)}.ts'`))
      .map(
        ({ name }) =>
          `${directory}: no test imports src/probes/${fileOf(name)}.ts: add ${fileOf(name)}.test.ts or, if the probe consists of declared metrics, a test in built-in.test.ts; if your machine has none of its events, a workload in test/vm/guest/questions.test.ts, and its name in ONLY_IN_LAB here`,
      ),
  );
});

test('CHANGELOG.md names every probe', () => {
  const text = read('CHANGELOG.md');
  const missing = probeCatalogue.filter(({ name }) => !text.includes(`\`${name}\``));
  assertNoAdvice(
    missing.map(({ name }) => `CHANGELOG.md: add a line about the probe \`${name}\` under Unreleased`),
  );
});

test('CONTRIBUTING.md names only files that exist', () => {
  const paths = [...read('CONTRIBUTING.md').matchAll(/`((?:src|test|docs|grafana|helm|deploy)\/[\w./-]+)`/g)]
    .map(([, path]) => path)
    .filter((path) => !/[A-Z]{2}/.test(path) && !existsSync(new URL(path, ROOT)));
  assertNoAdvice(
    paths.map((path) => `CONTRIBUTING.md: ${path} does not exist: name the file that replaced it`),
  );
});
