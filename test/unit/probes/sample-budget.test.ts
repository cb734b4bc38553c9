/** Samples that the default probes add to a scrape of a large node. The limit for a whole scrape is in test/unit/agent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetricStore } from '../../../src/metrics/store.ts';
import { feedLargeNode } from '../../support/large-node.ts';

test('64 CPUs and ten disks stay within the budget', (t) => {
  const usual = feedLargeNode(new MetricStore(), false);
  const worst = feedLargeNode(new MetricStore(), true);
  t.diagnostic(`${usual} samples with scheduler none, ${worst} with queue histograms too`);
  assert.ok(usual <= 2100, `${usual} samples`);
  assert.ok(worst <= 2550, `${worst} samples`);
});
