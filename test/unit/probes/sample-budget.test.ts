/** What a scrape of a large node holds with the default probes: the promise of docs/metrics.md is 2,500 samples. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import { BLOCK_EVENT, BLOCK_FORMAT_TEXT } from '../../../src/decode/text/blk-format.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { probeCatalogue } from '../../../src/probes/catalogue.ts';
import { feedLargeNode } from '../../support/large-node.ts';
import { run } from './records.ts';

test('64 CPUs and ten disks stay within the budget', (t) => {
  const usual = feedLargeNode(new MetricStore(), false);
  const worst = feedLargeNode(new MetricStore(), true);
  t.diagnostic(`${usual} samples with scheduler none, ${worst} with queue histograms too`);
  assert.ok(usual <= 2100, `${usual} samples`);
  assert.ok(worst <= 2550, `${worst} samples`);
});

test('the catalogue lists every probe once, with the metrics it declares', () => {
  assert.deepEqual(
    probeCatalogue.map((module) => module.name),
    [
      'sched',
      'syscalls',
      'block',
      'irq',
      'softirq',
      'events',
      'function',
      'function_graph',
      'osnoise',
      'timerlat',
      'hwlat',
      'wakeup',
      'wakeup_rt',
      'wakeup_dl',
      'irqsoff',
      'preemptoff',
      'preemptirqsoff',
      'blk',
    ],
  );
  assert.deepEqual(
    probeCatalogue.filter((module) => module.byDefault).map((module) => module.name),
    ['sched', 'block', 'irq', 'softirq'],
  );
  for (const module of probeCatalogue) {
    assert.equal(module.schema(schemaKit).parse({}).enabled, module.byDefault, module.name);
    assert.throws(() => module.schema(schemaKit).parse({ nonesuch: 1 }), module.name);
    const options = module.name === 'events' ? { count: ['sched:*'] } : {};
    // Format texts of tracers are those of the lab, except that of blk, which the kernel only has as text.
    const isTraced = module.tracer !== undefined;
    const { store } = run(
      module,
      options,
      isTraced ? { kernel: '7.3-rt', formats: { [BLOCK_EVENT]: BLOCK_FORMAT_TEXT } } : {},
    );
    const declared = store
      .snapshot()
      .families.filter(
        ({ spec }) => spec.name.startsWith('ftrace_') && !spec.name.startsWith('ftrace_exporter_'),
      );
    assert.deepEqual(
      declared.map(({ spec }) => [spec.name, spec.labels, spec.help]),
      module.metrics.map((metric) => [metric.name, metric.labels, metric.help]),
      module.name,
    );
  }
});
