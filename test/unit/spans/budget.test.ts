import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SpanKind } from '../../../src/model/span.ts';
import { makeBudget } from '../../../src/spans/budget.ts';
import type { TraceDraft } from '../../../src/spans/draft.ts';
import { fairShares } from '../../../src/spans/fair-shares.ts';
import { makeSpans } from '../../../src/spans/spans.ts';
import { testDeps } from './deps.ts';
import { config, MS, request } from './intervals.ts';

function draft(durationNs: number): TraceDraft {
  const root = { name: 'x', startNs: 0, endNs: durationNs, attributes: {}, children: [] };
  return { root, pid: 0, pruned: 0, exemplars: [] };
}

test('within an interval the slowest win, and every operation is taken or counted', () => {
  const durations = fc.array(fc.record({ kind: fc.constantFrom('block', 'sched'), ns: fc.nat(1000) }), {
    maxLength: 300,
  });
  fc.assert(
    fc.property(durations, fc.integer({ min: 1, max: 40 }), (operations, rate) => {
      const deps = testDeps();
      const budget = makeBudget(['block', 'sched'], rate, deps.counts);
      for (const { kind, ns } of operations) budget.offer(kind as SpanKind, ns, () => draft(ns));
      const accepted = budget.take(1);
      const over = [...deps.traces.values()].reduce((a, b) => a + b, 0);
      assert.equal(accepted.length + over, operations.length);
      assert.ok(accepted.length <= 2 * rate);
      for (const kind of ['block', 'sched']) {
        const all = operations.filter((o) => o.kind === kind).map((o) => o.ns);
        const ends = accepted.filter((t) => t.kind === kind).map((t) => t.draft.root.endNs);
        const slowest = all.sort((a, b) => b - a).slice(0, ends.length);
        assert.deepEqual(ends, slowest);
      }
    }),
  );
});

test('when the tokens are used up, no more traces are built than there will be tokens for', () => {
  const budget = makeBudget(['block'], 10, testDeps().counts);
  let built = 0;
  const offer = () => {
    for (let i = 0; i < 50; i++) {
      budget.offer('block', 1, () => {
        built++;
        return draft(1);
      });
    }
  };
  offer();
  assert.equal(built, 20);
  assert.equal(budget.take(1).length, 20);
  offer();
  assert.equal(built, 30);
  assert.equal(budget.take(1).length, 10);
});

test('over many intervals there are no more than the rate, whatever comes', () => {
  const deps = testDeps();
  const budget = makeBudget(['block'], 5, deps.counts);
  let accepted = 0;
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 100; i++) budget.offer('block', i, () => draft(i));
    accepted += budget.take(1).length;
  }
  // At the start, the budget allows the traces of one more second.
  assert.equal(accepted, 60 * 5 + 5);
  assert.equal(deps.traces.get('block over_budget'), 6000 - accepted);
});

test('less than one per second comes now and then', () => {
  const deps = testDeps();
  const budget = makeBudget(['block'], 0.1, deps.counts);
  let accepted = 0;
  for (let second = 0; second < 100; second++) {
    budget.offer('block', 1, () => draft(1));
    accepted += budget.take(1).length;
  }
  assert.ok(accepted >= 10 && accepted <= 11, String(accepted));
});

test('a burst of a kind that is seldom slow has its share, although another kind uses all it gets', () => {
  const deps = testDeps();
  const budget = makeBudget(['sched', 'block', 'syscalls'], 50, deps.counts);
  const second = (blocks: number): number => {
    for (let i = 0; i < 500; i++) budget.offer('sched', 1000 + i, () => draft(1));
    for (let i = 0; i < blocks; i++) budget.offer('block', 1 + i, () => draft(1));
    return budget.take(1).filter(({ kind }) => kind === 'block').length;
  };
  for (let i = 0; i < 60; i++) second(0);
  // Block gets the tokens that are reserved for it and then all new ones, because sched had all tokens before.
  const blocks = second(81);
  assert.ok(blocks >= 50, String(blocks));
  assert.equal(deps.traces.get('block over_budget') ?? 0, 81 - blocks);
});

test('each kind keeps a minimum, also one that had more than the others before', () => {
  const budget = makeBudget(['sched', 'block'], 40, testDeps().counts);
  const second = (scheds: number, blocks: number) => {
    for (let i = 0; i < scheds; i++) budget.offer('sched', 1, () => draft(1));
    for (let i = 0; i < blocks; i++) budget.offer('block', 1, () => draft(1));
    const accepted = budget.take(1);
    return ['sched', 'block'].map((wanted) => accepted.filter(({ kind }) => kind === wanted).length);
  };
  for (let i = 0; i < 100; i++) second(100, 0);
  const [scheds, blocks] = second(100, 100);
  assert.ok(scheds >= 5 && blocks >= 30, `${scheds} ${blocks}`);
});

test('over some minutes two kinds that are always slow get the same, whatever the rate', () => {
  for (const rate of [0.3, 3, 51]) {
    const budget = makeBudget(['sched', 'block', 'syscalls'], rate, testDeps().counts);
    const totals = { sched: 0, block: 0 };
    for (let second = 0; second < 300; second++) {
      for (let i = 0; i < 60; i++) budget.offer('sched', 5, () => draft(1));
      for (let i = 0; i < 60; i++) budget.offer('block', 5, () => draft(1));
      for (const { kind } of budget.take(1)) totals[kind as 'sched' | 'block']++;
    }
    const { sched, block } = totals;
    assert.ok(Math.abs(sched - block) <= 2, `${sched} ${block}`);
    assert.ok(sched + block >= 250 * rate, `${sched} ${block} at ${rate}`);
  }
});

test('what one kind does not use is left for the others', () => {
  assert.deepEqual(fairShares([2, 100, 100], 50), [2, 24, 24]);
  assert.deepEqual(fairShares([100, 100], 50, [30, 0]), [10, 40]);
  assert.deepEqual(fairShares([0, 100], 50), [0, 50]);
  assert.deepEqual(fairShares([5, 5], 50), [5, 5]);
  fc.assert(
    fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 12 }), fc.nat(200), (wanted, tokens) => {
      const shares = fairShares(wanted, tokens);
      const sum = shares.reduce((a, b) => a + b, 0);
      const all = wanted.reduce((a, b) => a + b, 0);
      assert.equal(sum, Math.min(all, tokens));
      shares.forEach((share, i) => {
        assert.ok(share <= wanted[i]);
        // A kind that gets less than it wants must get no less than any other kind, except for a last token.
        if (share < wanted[i]) assert.ok(shares.every((other) => other <= share + 1));
      });
    }),
  );
});

test('when the agent stops, traces are made for a short time, and the others are counted', () => {
  let nowNs = 5e9;
  const deps = testDeps({ now: () => nowNs });
  const spans = makeSpans(config({ block: { thresholdNs: 1, include: ['*'] } }), deps, 0);
  const add = (times: number) => {
    for (let i = 0; i < times; i++) spans.sinks.block?.ended(request({ issueNs: 1e9, completeNs: 1e9 + MS }));
  };
  spans.endAt(6e9);
  add(3);
  nowNs = 6e9 + 1;
  add(4);
  nowNs = 6e9;
  add(1);
  assert.equal(spans.take(1000).length, 4);
  assert.equal(deps.traces.get('block over_budget'), 4);
  assert.equal(deps.spans.get('block over_budget'), 4);
  add(2);
  nowNs = 6e9 + 1;
  assert.equal(spans.take(2000).length, 0, 'nor are records of those that were kept');
  assert.equal(deps.traces.get('block over_budget'), 6);
});
