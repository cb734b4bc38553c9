/** The tables of samples in docs/sizing.md must be what the real probes give. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { PROBES, samplesOf, samplesOfAgent } from '../support/node-size.ts';

const TEXT = readFileSync(new URL('../../docs/sizing.md', import.meta.url), 'utf8');
const CPU_COUNTS = [4, 16, 64, 128];
const DEFAULT = ['sched', 'block', 'irq', 'softirq'];
/** Samples of process_* and nodejs_*, whose number depends a little on what the process has open. */
const PROCESS = 60;
const SCRAPE_INTERVAL_S = 15;
/** The most samples of a default node of 64 CPUs. */
const BUDGET = 2500;

/** Numbers in a table's row, by its first cell. */
function row(first: string): number[] {
  const line = TEXT.split('\n').find((one) => one.startsWith(`| ${first} |`));
  assert.ok(line !== undefined, `docs/sizing.md has no row ${first}`);
  const cells = line.split('|').slice(2, 2 + CPU_COUNTS.length);
  return cells.map((cell) => Number(cell.replaceAll(',', '').trim()));
}

const total = (cpus: number) =>
  DEFAULT.reduce((sum, probe) => sum + samplesOf(probe, cpus), 0) + samplesOfAgent(cpus) + PROCESS;

for (const probe of PROBES) {
  test(`samples of ${probe}`, () => {
    assert.deepEqual(
      row(`\`${probe}\``),
      CPU_COUNTS.map((cpus) => samplesOf(probe, cpus)),
    );
  });
}

test('samples of the agent, and all in all, within the budget', () => {
  assert.deepEqual(row('the agent'), CPU_COUNTS.map(samplesOfAgent));
  assert.deepEqual(row('its process, about'), [PROCESS, PROCESS, PROCESS, PROCESS]);
  assert.deepEqual(row('**default probes, all in all**'), CPU_COUNTS.map(total));
  assert.ok(total(64) <= BUDGET);
});

for (const nodes of [10, 1000, 10_000]) {
  test(`samples per second of ${nodes} nodes`, () => {
    assert.deepEqual(
      row(nodes.toLocaleString('en-US')),
      CPU_COUNTS.map((cpus) => Math.round((total(cpus) * nodes) / SCRAPE_INTERVAL_S)),
    );
  });
}
