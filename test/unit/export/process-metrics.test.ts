import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { createProcessMetrics } from '../../../src/export/process-metrics.ts';

const readProcess = createProcessMetrics();

test('process families are there, without gauges that have names of counters', async () => {
  const families = await readProcess();
  const byName = new Map(families.map((family) => [family.name, family]));
  assert.equal(byName.get('process_cpu_seconds_total')?.kind, 'counter');
  assert.ok((byName.get('process_resident_memory_bytes')?.samples[0]?.value ?? 0) > 1e6);
  assert.ok(byName.has('nodejs_version_info'));
  for (const { name, kind } of families) {
    assert.equal(name.endsWith('_total'), kind === 'counter', name);
    assert.doesNotMatch(name, /^nodejs_eventloop_lag_\w+_seconds$/);
  }
});

test('an OpenMetrics scrape does not change the text scrapes after it', async () => {
  const renderer = createRenderer();
  const render = async (format: 'text' | 'openmetrics') =>
    renderer.render([], format, await readProcess()).toString();
  const before = await render('text');
  const openMetrics = await render('openmetrics');
  const after = await render('text');
  assert.match(openMetrics, /^# TYPE process_cpu_seconds counter$/m);
  assert.match(openMetrics, /^process_cpu_seconds_total \d/m);
  for (const text of [before, after]) {
    assert.match(text, /^# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total \d/m);
  }
});
