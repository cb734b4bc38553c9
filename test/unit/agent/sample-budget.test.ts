/**
 * docs/metrics.md promises at most 2,500 samples per scrape. This test counts the whole body: probes, the agent itself
 * and its process.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scrapeOfLargeNode } from '../../support/large-node.ts';

async function samplesOfScrape(withScheduler: boolean): Promise<number> {
  const text = await scrapeOfLargeNode(withScheduler);
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
}

test('a scrape of 64 CPUs and ten disks holds at most 2,500 samples', async (t) => {
  const usual = await samplesOfScrape(false);
  t.diagnostic(`${usual} samples; ${await samplesOfScrape(true)} where all disks have an I/O scheduler`);
  assert.ok(usual <= 2500, `${usual} samples`);
});
