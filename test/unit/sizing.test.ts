/** A default node must keep its promise of samples per scrape. The tables of docs/sizing.md are tested in test/unit/docs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { samplesOfNode } from '../../docs/tables.ts';

/** The most samples of a default node of 64 CPUs: docs/metrics.md. */
const BUDGET = 2500;

test(`a default node of 64 CPUs has at most ${BUDGET} samples`, () => {
  const samples = samplesOfNode(64);
  assert.ok(samples <= BUDGET, `${samples} samples: a probe that is on by default got more series`);
});
