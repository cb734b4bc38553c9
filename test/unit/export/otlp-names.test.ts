/** Translates pushed names by Prometheus' own rules. The result must be the names of a scrape. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeMainMetrics } from '../../../src/agent/main/main-metrics.ts';
import { makeOtlpMetrics } from '../../../src/agent/main/otlp-metrics.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { typeOf, unitOf } from '../../../src/export/families.ts';
import { commonOf } from '../../../src/export/otlp/points.ts';
import { createProcessMetrics } from '../../../src/export/process-metrics.ts';
import { REFUSED_METRIC } from '../../../src/http/server/refusals.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { probeCatalogue } from '../../../src/probes/catalogue.ts';
import { feedLargeNode } from '../../support/large-node.ts';

type Kind = 'counter' | 'gauge' | 'histogram';

function otlpName(metric: string, kind: Kind): { name: string; unit: string } {
  const { name, unit } = commonOf(metric, '', kind).descriptor;
  return { name, unit };
}

const WORD: Record<string, string> = { s: 'seconds', By: 'bytes' };

/** The default translation, to names with underscores and suffixes: otlptranslator v1.0.0, normalizeName(). */
function escaped(name: string, unit: string, kind: Kind): string {
  let words = name.split(/[^A-Za-z0-9:]+/).filter((word) => word !== '');
  const suffix = unit === '1' ? '' : (WORD[unit] ?? unit);
  if (suffix !== '' && !words.includes(suffix)) words.push(suffix);
  if (kind === 'counter') words = [...words.filter((word) => word !== 'total'), 'total'];
  if (unit === '1' && kind === 'gauge') words = [...words.filter((word) => word !== 'ratio'), 'ratio'];
  return words.join('_');
}

/** The translation NoUTF8EscapingWithSuffixes: otlptranslator, buildMetricName(). */
function unescaped(name: string, unit: string, kind: Kind): string {
  const trimmed = (text: string, suffix: string) =>
    text.endsWith(suffix) && text.length > suffix.length + 1 ? text.slice(0, -(suffix.length + 1)) : text;
  let end = '';
  let at = name;
  if (unit === '1' && kind === 'gauge') [at, end] = [trimmed(at, 'ratio'), '_ratio'];
  if (kind === 'counter') [at, end] = [trimmed(at, 'total'), '_total'];
  const suffix = unit === '1' ? '' : (WORD[unit] ?? unit);
  if (suffix !== '' && !at.endsWith(suffix)) at += `_${suffix}`;
  return at + end;
}

/** Derives the kind of a metric from its name, because the list of metrics does not contain kinds. */
function kindOf(name: string): Kind {
  if (name.endsWith('_total')) return 'counter';
  return name.endsWith('_seconds') && !name.includes('_max_') ? 'histogram' : 'gauge';
}

async function allMetrics(): Promise<{ name: string; kind: Kind; unit: string }[]> {
  const store = new MetricStore();
  makeSelfMetrics(store, { maxWindowMs: 120_000, recordingNs: 150 });
  feedLargeNode(store, true);
  makeMainMetrics(store, { version: '', replay: false });
  makeOtlpMetrics(store);
  store.counter(REFUSED_METRIC);
  const own = store.snapshot().families.map(({ spec }) => spec);
  const foreign = await createProcessMetrics()();
  return [
    ...own.map(({ name, kind, unit }) => {
      return { name, kind: typeOf(kind), unit: unitOf(name, kind, unit) };
    }),
    ...probeCatalogue.flatMap(({ metrics }) => {
      return metrics.map(({ name }) => ({ name, kind: kindOf(name), unit: '' }));
    }),
    ...foreign.map(({ name, kind }) => ({ name, kind, unit: '' })),
  ];
}

test('every metric comes back under its own name, by either rule', async () => {
  const metrics = await allMetrics();
  assert.ok(metrics.length > 60, String(metrics.length));
  for (const { name, kind } of metrics) {
    const pushed = otlpName(name, kind);
    assert.equal(escaped(pushed.name, pushed.unit, kind), name);
    assert.equal(unescaped(pushed.name, pushed.unit, kind), name);
  }
});

test('no two metrics are pushed under the same name', async () => {
  const metrics = await allMetrics();
  const pushed = new Set(metrics.map(({ name, kind }) => otlpName(name, kind).name));
  assert.equal(pushed.size, new Set(metrics.map(({ name }) => name)).size);
});

test('names lose only _total, and units are those of UCUM', () => {
  assert.deepEqual(otlpName('a_switches_total', 'counter'), { name: 'a_switches', unit: '' });
  assert.deepEqual(otlpName('a_wait_seconds_total', 'counter'), { name: 'a_wait_seconds', unit: 's' });
  assert.deepEqual(otlpName('a_bytes_total', 'counter'), { name: 'a_bytes', unit: 'By' });
  assert.deepEqual(otlpName('a_latency_seconds', 'histogram'), { name: 'a_latency_seconds', unit: 's' });
  assert.deepEqual(otlpName('a_fill_ratio', 'gauge'), { name: 'a_fill_ratio', unit: '1' });
  assert.deepEqual(otlpName('heap_size_total_bytes', 'gauge'), { name: 'heap_size_total_bytes', unit: 'By' });
  assert.deepEqual(otlpName('in_total', 'gauge'), { name: 'in_total', unit: '' });
});

test('the unit is that of the scrape, if the scrape has one', async () => {
  const units: Record<string, string> = { seconds: 's', bytes: 'By', ratio: '1', '': '' };
  for (const { name, kind, unit } of await allMetrics()) {
    if (unit !== '') assert.equal(otlpName(name, kind).unit, units[unit], name);
  }
});
