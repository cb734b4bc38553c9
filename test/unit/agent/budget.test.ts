import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BudgetLimits, makeBudget } from '../../../src/agent/live/budget.ts';
import { countByGap, type Gap, makeSuspensions } from '../../../src/agent/plan/suspension.ts';

const LIMITS: BudgetLimits = { cores: 0.05, windowMs: 10_000, suspendMs: 30_000, longestMs: 120_000 };
const STEP_MS = 250;

/** Simulates an agent. `costs`: the share of a core that each probe uses; its events are in proportion. */
function simulate(costs: Record<string, number>, essential: readonly string[] = []) {
  const budget = makeBudget(LIMITS);
  const suspended = new Set<string>();
  const events = new Map(Object.keys(costs).map((name) => [name, 0]));
  const log: string[] = [];
  let atMs = 0;
  let cpuMs = 0;
  let capturedMs = 0;
  const candidates = Object.keys(costs).filter((name) => !essential.includes(name));
  const run = (seconds: number, overhead = 0) => {
    for (const endMs = atMs + seconds * 1000; atMs < endMs; ) {
      atMs += STEP_MS;
      cpuMs += overhead * STEP_MS;
      for (const [name, cost] of Object.entries(costs)) {
        if (suspended.has(name)) continue;
        cpuMs += cost * STEP_MS;
        capturedMs += cost * STEP_MS;
        events.set(name, (events.get(name) ?? 0) + cost * 1e6);
      }
      const step = budget.step(atMs, { cpuMs, capturedMs, events: new Map(events) }, candidates);
      if (step.suspend) {
        suspended.add(step.suspend.probe);
        log.push(`${atMs / 1000} -${step.suspend.probe} ${step.suspend.durationMs / 1000}`);
      }
      if (step.resume) {
        suspended.delete(step.resume);
        log.push(`${atMs / 1000} +${step.resume}`);
      }
    }
    return log.splice(0);
  };
  return { run, costs, budget, cpuMs: () => cpuMs };
}

describe('the budget', () => {
  test('below it, nothing is suspended', () => {
    assert.deepEqual(simulate({ syscalls: 0.03, sched: 0.01 }).run(600), []);
  });

  test('a little above it, the most expensive probe is suspended after the window', () => {
    assert.deepEqual(simulate({ syscalls: 0.04, sched: 0.015 }).run(11), ['9.5 -syscalls 30']);
  });

  test('a storm is stopped within a second, and a minute of it keeps the budget', () => {
    const { run, cpuMs } = simulate({ syscalls: 1, sched: 0.01 });
    run(30);
    const before = cpuMs();
    assert.deepEqual(run(60).length, 2);
    assert.ok(cpuMs() - before <= 0.06 * 60_000, `${cpuMs() - before} ms in a minute`);
  });

  test('suspensions grow up to the longest, and begin again after a good time', () => {
    const agent = simulate({ syscalls: 1 });
    const durations = agent.run(500).flatMap((line) => / -syscalls (\d+)/.exec(line)?.[1] ?? []);
    assert.deepEqual(durations, ['30', '60', '120', '120', '120', '120']);
    agent.costs.syscalls = 0.01;
    agent.run(300);
    agent.costs.syscalls = 1;
    assert.match(agent.run(2)[0], / -syscalls 30$/);
  });

  test('an essential probe is never suspended; others are, as far as that helps', () => {
    const { run, budget } = simulate({ syscalls: 0.5, sched: 0.02, irq: 0.0001 }, ['syscalls']);
    assert.deepEqual(run(60), ['3 -sched 30']);
    assert.ok(budget.isExceeded());
  });

  test('scrapes that are too expensive are no reason to suspend a cheap probe', () => {
    const { run, budget } = simulate({ sched: 0.0001 });
    assert.deepEqual(run(60, 0.2), []);
    assert.ok(budget.isExceeded());
  });

  test('a probe waits longer while the rest of the agent is over the budget', () => {
    const agent = simulate({ syscalls: 1 });
    agent.run(5);
    assert.deepEqual(agent.run(60, 0.2), []);
    assert.match(agent.run(11).join(), /\+syscalls/);
  });
});

describe('a suspended probe', () => {
  const make = () => {
    const calls: string[] = [];
    const gaps: Record<string, Gap> = {
      a: { reason: 'lost', isOff: false },
      b: { reason: 'lost', isOff: false },
    };
    const handler = (name: string) => () => void calls.push(name);
    const shared = { event: 's:shared', handlers: [handler('a'), handler('b')], owners: ['a', 'b'] };
    const own = { event: 's:own', handlers: [handler('own')], owners: ['a'] };
    const running = ['a', 'b'].map((name) => ({
      name,
      gap: gaps[name],
      probe: {
        handlers: {},
        onLoss: (cpu: number, untilNs: number) => void calls.push(`${name} void ${cpu} ${untilNs}`),
      },
    }));
    const plan = makeSuspensions([shared, own], running, 2);
    const record = () => {
      for (const call of shared.handlers) call();
      return calls.splice(0);
    };
    return { plan, record, calls, gaps };
  };

  test('only the events that no other probe reads are not recorded', () => {
    const { plan } = make();
    assert.deepEqual(plan.suspend('a'), ['s:own']);
    assert.deepEqual(plan.suspend('b'), ['s:shared']);
    assert.deepEqual(plan.resume('b'), ['s:shared']);
    assert.deepEqual(plan.resume('a'), ['s:own']);
  });

  test('handles what was recorded before, then nothing; what is open is void', () => {
    const { plan, record, calls } = make();
    plan.suspend('a');
    assert.deepEqual(record(), ['a', 'b']);
    plan.detach('a', 7);
    assert.deepEqual(calls.splice(0), ['a void 0 7', 'a void 1 7']);
    assert.deepEqual(record(), ['b']);
    plan.resume('a');
    assert.deepEqual(record(), ['a', 'b']);
  });

  test('what a suspension voids counts as suspended, what a later loss voids as lost', () => {
    const { plan, gaps } = make();
    const counts = new Map<string, number>();
    const counter =
      (reason: string) =>
      (n = 1) =>
        void counts.set(reason, (counts.get(reason) ?? 0) + n);
    const count = countByGap(gaps.a, 'lost', counter);
    const countStart = countByGap(gaps.a, 'no_start', counter);
    plan.suspend('a');
    // The suspension switched off the start event of this pair before the end event.
    countStart();
    plan.detach('a', 7);
    plan.onLoss(0, 9);
    plan.resume('a');
    plan.attach('a', 10);
    count();
    countStart(4);
    plan.onLoss(0, 11);
    count(2);
    assert.deepEqual(Object.fromEntries(counts), { suspended: 2, no_start: 4, lost: 2 });
    assert.equal(gaps.b.reason, 'lost');
  });
});
