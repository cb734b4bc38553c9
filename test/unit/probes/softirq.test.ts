import assert from 'node:assert/strict';
import { test } from 'node:test';
import { softirq } from '../../../src/probes/softirq.ts';
import { type Machine, run } from './records.ts';

const LATENCY = 'ftrace_softirq_latency_seconds';
const DURATION = 'ftrace_softirq_duration_seconds';
const TIME = 'ftrace_softirq_seconds_total';
const NET_RX = 3;
const TIMER = 1;

function soft(options: Record<string, unknown> = {}, machine: Machine = {}) {
  const h = run(softirq, options, machine);
  return {
    ...h,
    raise: (ts: number, vec: number, cpu = 0) => h.feed('irq:softirq_raise', { ts, cpu, vec }),
    entry: (ts: number, vec: number, cpu = 0, by = 0) => h.feed('irq:softirq_entry', { ts, cpu, vec, by }),
    exit: (ts: number, vec: number, cpu = 0, by = 0) => h.feed('irq:softirq_exit', { ts, cpu, vec, by }),
    latency: (vector: string) => h.durations(LATENCY, vector),
    duration: (vector: string) => h.durations(DURATION, vector),
  };
}

test('raise, entry, exit, under the names that the kernel prints', () => {
  const s = soft();
  s.raise(1000, NET_RX, 1);
  s.entry(1500, NET_RX, 1);
  s.exit(1800, NET_RX, 1);
  assert.deepEqual(s.latency('NET_RX'), { count: 1, sum: 500 });
  assert.deepEqual(s.duration('NET_RX'), { count: 1, sum: 300 });
  assert.equal(s.value(TIME, '1', 'NET_RX'), 300);
  assert.equal(s.value(TIME, '0', 'NET_RX'), undefined);
  assert.deepEqual(s.unmatched, {});
});

test('raised twice is one wait, from the first', () => {
  const s = soft();
  s.raise(1000, TIMER);
  s.raise(1400, TIMER);
  s.entry(1500, TIMER);
  s.raise(1600, TIMER);
  s.exit(1700, TIMER);
  s.entry(1800, TIMER);
  s.exit(1900, TIMER);
  assert.deepEqual(s.latency('TIMER'), { count: 2, sum: 700 });
});

test('an entry without a raise has no latency, but a duration', () => {
  const s = soft();
  s.entry(1500, TIMER);
  s.exit(1700, TIMER);
  assert.equal(s.latency('TIMER'), undefined);
  assert.deepEqual(s.duration('TIMER'), { count: 1, sum: 200 });
  assert.deepEqual(s.unmatched, { no_start: 1 });
});

test('on real-time kernels runs of several threads interleave on a CPU', () => {
  const s = soft();
  s.raise(900, TIMER);
  s.entry(1000, TIMER, 0, 15);
  s.raise(1050, NET_RX);
  s.entry(1100, NET_RX, 0, 20);
  s.raise(1150, TIMER);
  s.entry(1200, TIMER, 0, 20);
  s.exit(1300, TIMER, 0, 15);
  s.exit(1400, NET_RX, 0, 20);
  s.exit(1500, TIMER, 0, 20);
  assert.deepEqual(s.duration('TIMER'), { count: 2, sum: 600 });
  assert.deepEqual(s.duration('NET_RX'), { count: 1, sum: 300 });
  assert.deepEqual(s.unmatched, {});
});

test('a fifth open run takes the place of the oldest', () => {
  const s = soft();
  for (let i = 0; i < 5; i++) s.entry(1000 + i, TIMER, 0, 10 + i);
  s.exit(2000, TIMER, 0, 10);
  s.exit(2000, TIMER, 0, 14);
  assert.deepEqual(s.duration('TIMER'), { count: 1, sum: 996 });
  assert.equal(s.unmatched.evicted, 1);
  assert.equal(s.unmatched.no_start, 6);
});

test('an entry while the same run is open: the end is missing', () => {
  const s = soft();
  s.entry(1000, TIMER, 0, 10);
  s.entry(2000, TIMER, 0, 10);
  s.exit(2100, TIMER, 0, 10);
  assert.deepEqual(s.duration('TIMER'), { count: 1, sum: 100 });
  assert.equal(s.unmatched.no_end, 1);
});

test('a loss only clears its CPU', () => {
  const s = soft();
  s.raise(1000, TIMER, 0);
  s.raise(1000, TIMER, 1);
  s.entry(1000, NET_RX, 0);
  s.entry(1000, NET_RX, 1);
  s.unmatched.no_start = 0;
  s.probe.onLoss?.(0, 2000);
  s.exit(2100, NET_RX, 0);
  s.exit(2100, NET_RX, 1);
  s.entry(2200, TIMER, 0);
  s.entry(2200, TIMER, 1);
  assert.deepEqual(s.duration('NET_RX'), { count: 1, sum: 1100 });
  assert.deepEqual(s.latency('TIMER'), { count: 1, sum: 1200 });
  assert.deepEqual(s.unmatched, { no_start: 0, lost: 2 });
});

test('negative times are never recorded', () => {
  const s = soft();
  s.raise(2000, TIMER);
  s.entry(1900, TIMER);
  s.exit(1800, TIMER);
  assert.equal(s.latency('TIMER'), undefined);
  assert.equal(s.duration('TIMER'), undefined);
  assert.deepEqual(s.unmatched, { late: 2 });
});

test("vectors that no kernel has are skipped; the agent's own threads are not", () => {
  const s = soft({}, { self: [0] });
  for (const vec of [32, 4294967295]) {
    s.raise(1000, vec);
    s.entry(1100, vec);
    s.exit(1200, vec);
  }
  s.raise(1000, 31);
  s.entry(1100, 31);
  s.exit(1200, 31);
  assert.deepEqual(s.duration('vector_31'), { count: 1, sum: 100 });
  assert.deepEqual(s.unmatched, { no_start: 4 });
  assert.equal(s.ignored(), 0);
});

test('a start from before an interruption that is read after the announcement has no wait and no run', () => {
  const s = soft();
  s.probe.onLoss?.(0, 2000);
  s.raise(1000, TIMER);
  s.entry(1100, NET_RX);
  s.entry(2100, TIMER);
  s.exit(2200, NET_RX);
  s.exit(2300, TIMER);
  assert.equal(s.latency('TIMER'), undefined);
  assert.equal(s.duration('NET_RX'), undefined);
  assert.deepEqual(s.duration('TIMER'), { count: 1, sum: 200 });
  // Lost are the wait, the run, and NET_RX, whose raise was not seen.
  assert.equal(s.unmatched.lost, 3);
});

test('without raises there are durations, without exits latencies, and no pair is missing', () => {
  const runs = soft({}, { events: ['irq:softirq_entry', 'irq:softirq_exit'] });
  runs.entry(1000, 1);
  runs.exit(1500, 1);
  assert.deepEqual(runs.duration('TIMER'), { count: 1, sum: 500 });
  assert.equal(runs.latency('TIMER'), undefined);
  assert.deepEqual(runs.unmatched, {});
  const waits = soft({}, { events: ['irq:softirq_entry', 'irq:softirq_raise'] });
  for (const ts of [1000, 2000]) {
    waits.raise(ts, 1);
    waits.entry(ts + 300, 1);
  }
  assert.deepEqual(waits.latency('TIMER'), { count: 2, sum: 600 });
  assert.equal(waits.duration('TIMER'), undefined);
  assert.deepEqual(waits.unmatched, {});
});
