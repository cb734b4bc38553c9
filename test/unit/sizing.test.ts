/** A default node must keep its promise of samples per scrape. The tables of docs/sizing.md are tested in test/unit/docs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { samplesOfNode } from '../../docs/tables.ts';

/** Maximum number of samples on a node of 64 CPUs with the default probes; docs/metrics.md promises it. */
const BUDGET = 2500;

test(`a default node of 64 CPUs has at most ${BUDGET} samples`, () => {
  const samples = samplesOfNode(64);
  assert.ok(samples <= BUDGET, `${samples} samples: a probe that is on by default got more series`);
});
