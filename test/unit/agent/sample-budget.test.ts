/** The promise of 2,500 samples a scrape, over the whole body: probes, the agent itself and its process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSelfMetrics } from '../../../src/agent/self-metrics.ts';
import { createProcessMetrics } from '../../../src/export/process-metrics.ts';
import { createRenderer } from '../../../src/export/prometheus-text.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { CPUS, feedLargeNode } from '../../support/large-node.ts';

const PROBES = ['sched', 'block', 'irq', 'softirq'];
const REASONS = ['no_start', 'no_end', 'lost', 'late', 'evicted'] as const;

async function samplesOfScrape(withScheduler: boolean): Promise<number> {
  const store = new MetricStore();
  const self = makeSelfMetrics(store);
  self.probesAre(PROBES.map((name) => ({ name, up: true, reason: '', events: [] })));
  for (const probe of PROBES) for (const reason of REASONS) self.unmatched(probe, reason);
  feedLargeNode(store, withScheduler);
  const none = { entries: 0, overrun: 0, commitOverrun: 0, droppedEvents: 0, readEvents: 0, bytes: 0 };
  const readings = CPUS.map((cpu) => ({
    cpu,
    events: 1,
    bytes: 1,
    stats: { cpu, ...none },
    capacityBytes: 1,
  }));
  self.update('events', readings);
  const body = createRenderer().render([store.snapshot()], 'text', await createProcessMetrics()());
  return body
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#')).length;
}

test('a scrape of 64 CPUs and ten disks holds at most 2,500 samples', async (t) => {
  const usual = await samplesOfScrape(false);
  t.diagnostic(`${usual} samples; ${await samplesOfScrape(true)} where all disks have an I/O scheduler`);
  assert.ok(usual <= 2500, `${usual} samples`);
});
