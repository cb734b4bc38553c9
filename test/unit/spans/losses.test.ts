/** Calls during which events were lost: the trace must show what is certain, and name no cause from before the loss. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LossJournal } from '../../../src/spans/losses.ts';
import { D, S } from './intervals.ts';
import { HARDIRQ, ME, machine, ratioOf, summaryOf, treeOf } from './machine.ts';

const HOG = 700;
const WRITER = 500;

/** The call's task is running on CPU 0, and a hog on CPU 1. A writer, which last ran on CPU 1, is sleeping. */
function busy() {
  const m = machine();
  m.name(ME, 'me');
  m.name(HOG, 'hog');
  m.name(WRITER, 'writer');
  m.switch(-10, 1, 0, 0, WRITER);
  m.switch(-9, 1, WRITER, S, HOG);
  m.switch(-8, 0, 0, 0, ME);
  return m;
}

test('a task that slept on another CPU made one call: only what came after the loss is explained', () => {
  const m = busy();
  m.switch(1, 0, ME, S, 0);
  // In the loss, the writer may have run, so what it did before is unknown.
  m.lose(10, 1);
  m.wake(12, WRITER, HOG, 1, 1, HARDIRQ);
  m.switch(14, 1, HOG, 0, WRITER);
  m.wake(15, ME, WRITER, 1);
  m.switch(15, 0, 0, 0, ME);
  const trace = m.end('read', 16, 10);
  assert.deepEqual(treeOf(trace), [
    'blocked 14',
    '  blocked writer 2',
    '  runqueue wait writer 2',
    '  running writer 1',
  ]);
  assert.equal(
    summaryOf(trace),
    '16.0 ms: 2.0 ms running, 1.0 ms writer ran, 13.0 ms not known; incomplete, because events were lost',
  );
  const { attributes } = trace.spans[0];
  assert.equal(attributes['ftrace.incomplete'], true);
  assert.equal(attributes['ftrace.cut_at_start'], undefined);
  assert.equal(ratioOf(trace), 0.1875);
});

test('a task on the CPU that lost events may have ended its call: only the time since is certain', () => {
  const m = busy();
  m.switch(1, 0, ME, D, 0);
  m.lose(10, 0);
  m.interrupt(14, 'irq', 0, () => m.wake(14, ME, 0, 0, 0, HARDIRQ));
  m.switch(15, 0, 0, 0, ME);
  const trace = m.end('fsync', 16, 10);
  assert.equal(trace.spans[0].durationNs, 6e6);
  assert.equal(trace.spans[0].attributes['ftrace.cut_at_start'], true);
  assert.equal(trace.spans[0].attributes['ftrace.incomplete'], true);
  assert.deepEqual(treeOf(trace), ['blocked 4', '  irq 4', 'runqueue wait 1']);
  assert.equal(
    summaryOf(trace),
    '6.0 ms: 4.0 ms irq virtio0-req.*, 1.0 ms running, 1.0 ms not known; incomplete, because events were lost',
  );
});

test('a task that comes back after a loss without having been woken may have run meanwhile', () => {
  const m = busy();
  m.switch(1, 0, ME, D, 0);
  m.lose(10, 1);
  m.switch(15, 0, 0, 0, ME);
  const trace = m.end('fsync', 16, 10);
  assert.deepEqual(treeOf(trace), []);
  assert.equal(
    summaryOf(trace),
    '6.0 ms: 1.0 ms running, 5.0 ms not known; incomplete, because events were lost',
  );
});

test('a task that ran on another CPU all the time made one call', () => {
  const m = busy();
  m.lose(10, 1);
  const trace = m.end('read', 16, 10);
  assert.equal(summaryOf(trace), '16.0 ms: 16.0 ms running; incomplete, because events were lost');
  assert.equal(trace.spans[0].attributes['ftrace.incomplete'], true);
  const other = busy();
  other.lose(10, 0);
  assert.match(summaryOf(other.end('read', 16, 10)), /^6\.0 ms: 6\.0 ms not known; incomplete/);
});

test('a sleep that was over before the loss keeps its causes', () => {
  const m = busy();
  m.switch(1, 0, ME, S, 0);
  m.interrupt(5, 'timer', 0, () => m.wake(5, ME, 0, 0, 0, HARDIRQ));
  m.switch(5, 0, 0, 0, ME);
  m.lose(10, 1);
  const trace = m.end('select', 16, 10);
  assert.match(summaryOf(trace), /^16\.0 ms: 12\.0 ms running, 4\.0 ms timer; incomplete/);
});

test('a loss that was forgotten may have been on any CPU', () => {
  const losses = new LossJournal();
  for (let i = 1; i <= 2048; i++) losses.add(1, i * 10, i * 10 + 5);
  assert.deepEqual(losses.within(20_476, 30_000), [{ cpu: 1, fromNs: 20_480, untilNs: 20_485 }]);
  assert.equal(losses.within(10_000, 10_001).at(0)?.cpu, -1);
});
