/** What a scrape of a large node holds with the default probes: the promise of docs/metrics.md is 2,500 samples. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { block } from '../../../src/probes/block.ts';
import { probeCatalogue } from '../../../src/probes/catalogue.ts';
import { irq } from '../../../src/probes/irq.ts';
import { sched } from '../../../src/probes/sched.ts';
import { softirq } from '../../../src/probes/softirq.ts';
import { run } from './records.ts';

const CPUS = Array.from({ length: 64 }, (_, cpu) => cpu);

function largeNode(withScheduler: boolean): number {
  const machine = { store: new MetricStore(), cpuCount: 128, onlineCpus: CPUS };
  const tasks = run(sched, {}, machine);
  const disks = run(block, {}, machine);
  const hard = run(irq, {}, machine);
  const soft = run(softirq, {}, machine);
  for (const cpu of CPUS) {
    tasks.feed('sched:sched_switch', { ts: 1, cpu, prev_pid: 1, prev_state: 0, next_pid: 2 });
    for (let vec = 0; vec < 7; vec++) {
      soft.feed('irq:softirq_raise', { ts: 1, cpu, vec });
      soft.feed('irq:softirq_entry', { ts: 2, cpu, vec });
      soft.feed('irq:softirq_exit', { ts: 3, cpu, vec });
    }
    for (let i = 0; i < 14; i++) {
      hard.feed('irq:irq_handler_entry', { ts: 1, cpu, irq: i, name: `device${i}x` });
      hard.feed('irq:irq_handler_exit', { ts: 2, cpu, irq: i });
    }
  }
  for (let minor = 1; minor <= 10; minor++) {
    const dev = (259 << 20) | minor;
    for (const [rwbs, nr_sector] of [
      ['R', 8],
      ['W', 8],
      ['FF', 0],
    ] as const) {
      // Flushes pass the scheduler by.
      if (withScheduler && rwbs !== 'FF')
        disks.feed('block:block_rq_insert', { ts: 1, dev, sector: 0, rwbs });
      disks.feed('block:block_rq_issue', { ts: 2, dev, sector: 0, nr_sector, rwbs });
      disks.feed('block:block_rq_complete', { ts: 3, dev, sector: 0, nr_sector, rwbs });
    }
  }
  return disks.samples();
}

test('64 CPUs and ten disks stay within the budget', (t) => {
  const usual = largeNode(false);
  const worst = largeNode(true);
  t.diagnostic(`${usual} samples with scheduler none, ${worst} with queue histograms too`);
  assert.ok(usual <= 2100, `${usual} samples`);
  assert.ok(worst <= 2500, `${worst} samples`);
});

test('the catalogue lists every probe once, with the metrics it declares', () => {
  assert.deepEqual(
    probeCatalogue.map((module) => module.name),
    ['sched', 'syscalls', 'block', 'irq', 'softirq', 'events'],
  );
  assert.deepEqual(
    probeCatalogue.filter((module) => module.byDefault).map((module) => module.name),
    ['sched', 'block', 'irq', 'softirq'],
  );
  for (const module of probeCatalogue) {
    assert.equal(module.schema(schemaKit).parse({}).enabled, module.byDefault, module.name);
    assert.throws(() => module.schema(schemaKit).parse({ nonesuch: 1 }), module.name);
    const options = module.name === 'events' ? { count: ['sched:*'] } : {};
    const { store } = run(module, options);
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
