import assert from 'node:assert/strict';
import { test } from 'node:test';
import { irq } from '../../../src/probes/irq.ts';
import { type Machine, run } from './records.ts';

const DURATION = 'ftrace_irq_duration_seconds';
const TIME = 'ftrace_irq_seconds_total';
const COUNT = 'ftrace_irqs_total';

function interrupts(options: Record<string, unknown> = {}, machine: Machine = {}) {
  const h = run(irq, options, machine);
  return {
    ...h,
    entry: (ts: number, line: number, name: string, cpu = 0) =>
      h.feed('irq:irq_handler_entry', { ts, cpu, irq: line, name }),
    exit: (ts: number, line: number, cpu = 0) =>
      h.feed('irq:irq_handler_exit', { ts, cpu, irq: line, ret: 1 }),
    duration: (handler: string) => h.durations(DURATION, handler),
  };
}

test('entry to exit is a run of the handler', () => {
  const s = interrupts();
  s.entry(1000, 30, 'nvme0q17', 1);
  s.exit(3000, 30, 1);
  s.entry(4000, 31, 'nvme0q18', 0);
  s.exit(4100, 31, 0);
  assert.deepEqual(s.duration('nvme0q*'), { count: 2, sum: 2100 });
  assert.equal(s.value(TIME, '1'), 2000);
  assert.equal(s.value(COUNT, '1'), 1);
  assert.equal(s.value(COUNT, '0'), 1);
  assert.deepEqual(s.unmatched, {});
});

test('an interrupt within an interrupt', () => {
  const s = interrupts();
  s.entry(1000, 30, 'outer');
  s.entry(1100, 31, 'inner');
  s.exit(1200, 31);
  s.exit(1500, 30);
  assert.deepEqual(s.duration('inner'), { count: 1, sum: 100 });
  assert.deepEqual(s.duration('outer'), { count: 1, sum: 500 });
});

test('handlers that share a line run one after the other', () => {
  const s = interrupts();
  s.entry(1000, 16, 'ehci_hcd:usb1');
  s.exit(1100, 16);
  s.entry(1100, 16, 'i801_smbus');
  s.exit(1400, 16);
  s.entry(2000, 16, 'ehci_hcd:usb1');
  s.exit(2050, 16);
  assert.deepEqual(s.duration('ehci_hcd:usb1'), { count: 2, sum: 150 });
  assert.deepEqual(s.duration('i801_smbus'), { count: 1, sum: 300 });
});

test('an exit that never came does not hide the next one', () => {
  const s = interrupts();
  s.entry(1000, 30, 'first');
  s.entry(1100, 31, 'second');
  s.exit(1500, 30);
  assert.deepEqual(s.duration('first'), { count: 1, sum: 500 });
  assert.equal(s.duration('second'), undefined);
  s.exit(1600, 31);
  s.exit(1700, 30);
  assert.deepEqual(s.duration('first'), { count: 1, sum: 500 });
  assert.deepEqual(s.unmatched, { no_end: 1, no_start: 2 });
});

test('deeper than any kernel nests, the lowest is dropped', () => {
  const s = interrupts();
  for (let i = 0; i < 9; i++) s.entry(1000 + i, i, `line${i}x`);
  for (let i = 8; i >= 0; i--) s.exit(2000, i);
  assert.deepEqual(s.duration('line1x'), { count: 1, sum: 999 });
  assert.deepEqual(s.unmatched, { evicted: 1, no_start: 1 });
});

test('a loss only clears its CPU', () => {
  const s = interrupts();
  s.entry(1000, 30, 'disk', 0);
  s.entry(1000, 31, 'net', 1);
  s.probe.onLoss?.(0, 2000);
  s.exit(2100, 30, 0);
  s.exit(2100, 31, 1);
  assert.equal(s.duration('disk'), undefined);
  assert.deepEqual(s.duration('net'), { count: 1, sum: 1100 });
  assert.deepEqual(s.unmatched, { lost: 1 });
  s.entry(3000, 30, 'disk', 0);
  s.exit(3100, 30, 0);
  s.exit(3200, 30, 0);
  assert.deepEqual(s.unmatched, { lost: 1, no_start: 1 });
});

test('a negative run is never recorded', () => {
  const s = interrupts();
  s.entry(2000, 30, 'disk');
  s.exit(1000, 30);
  assert.equal(s.duration('disk'), undefined);
  assert.deepEqual(s.unmatched, { late: 1 });
});

test('vectors are counted on request, under their own names', () => {
  const h = run(irq, { irq_vectors: true });
  h.feed('irq_vectors:local_timer_entry', { ts: 1000, vector: 236 });
  h.feed('irq:irq_handler_entry', { ts: 1100, irq: 1, name: 'disk' });
  h.feed('irq:irq_handler_exit', { ts: 1200, irq: 1 });
  h.feed('irq_vectors:local_timer_exit', { ts: 1500, vector: 236 });
  assert.deepEqual(h.durations(DURATION, 'local_timer'), { count: 1, sum: 500 });
  assert.deepEqual(h.durations(DURATION, 'disk'), { count: 1, sum: 100 });
  assert.equal('irq_vectors:local_timer_entry' in run(irq).probe.handlers, false);
  // If the kernel has only one event of a vector's pair, or none, the probe measures only devices.
  const events = ['irq:irq_handler_entry', 'irq:irq_handler_exit', 'irq_vectors:local_timer_entry'];
  assert.deepEqual(
    Object.keys(run(irq, { irq_vectors: true }, { events }).probe.handlers),
    events.slice(0, 2),
  );
});

test('above max_series handlers go to other, 32 by default', () => {
  const s = interrupts();
  for (let i = 0; i < 40; i++) {
    s.entry(1000, i, `device${i}x`);
    s.exit(1010, i);
  }
  assert.deepEqual(s.duration('device31x'), { count: 1, sum: 10 });
  assert.deepEqual(s.duration('other'), { count: 8, sum: 80 });
});

test("the agent's own threads can be interrupted like any other", () => {
  const s = interrupts({ per_cpu: true }, { self: [1] });
  s.entry(1000, 30, 'disk', 1);
  s.exit(1100, 30, 1);
  assert.deepEqual(s.durations(DURATION, 'disk', '1'), { count: 1, sum: 100 });
  assert.equal(s.ignored(), 0);
});

test('a start from before an interruption that is read after the announcement has no run', () => {
  const s = interrupts();
  s.probe.onLoss?.(0, 2000);
  s.entry(1000, 30, 'disk');
  s.exit(2100, 30);
  s.entry(2200, 30, 'disk');
  s.exit(2300, 30);
  assert.deepEqual(s.duration('disk'), { count: 1, sum: 100 });
  assert.deepEqual(s.unmatched, { lost: 1 });
});

test('without exits handlers are counted, but have no durations', () => {
  const s = interrupts({}, { events: ['irq:irq_handler_entry'] });
  for (let i = 0; i < 100; i++) s.entry(1000 + i, 1, 'disk');
  assert.equal(s.value('ftrace_irqs_total', '0'), 100);
  assert.equal(s.value('ftrace_irq_seconds_total', '0'), undefined);
  assert.equal(s.duration('disk'), undefined);
  assert.deepEqual(s.unmatched, {});
});
