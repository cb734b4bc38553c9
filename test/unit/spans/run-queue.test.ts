/** Waits for a CPU: which tasks used it, in which order, and the summary of the trace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SpanRecord, TraceRecord } from '../../../src/model/span.ts';
import { makeSpans } from '../../../src/spans/spans.ts';
import { problemsOf, testDeps } from './deps.ts';
import { comm, config, MS, switchIn, US } from './intervals.ts';

const START = 1e9;

/** The trace of a task that waits in the queue of CPU 0 from `START` on. `happens` reports other tasks meanwhile. */
function waited(
  ms: number,
  happens: (tell: {
    ran(cpu: number, pid: number, fromMs: number, toMs: number): void;
    moved(cpu: number, atMs: number): void;
  }) => void,
): TraceRecord {
  const spans = makeSpans(config({ sched: { thresholdNs: 1 } }), testDeps(), 0);
  const { tasks } = spans.sinks;
  happens({
    ran: (cpu, pid, fromMs, toMs) =>
      tasks?.ran(cpu, pid, START + fromMs * MS, START + toMs * MS, comm(pid === 0 ? '' : `task${pid}`), 0),
    moved: (cpu, atMs) => tasks?.moved(100, cpu, START + atMs * MS),
  });
  const wait = switchIn({ runnableNs: START, inNs: START + ms * MS, state: 0, cpu: 0 });
  tasks?.switchedIn(wait, comm('waiter'), 0);
  const [trace] = spans.take(1000);
  assert.deepEqual(problemsOf(trace), []);
  return trace;
}

const childrenOf = ({ spans: [root, ...children] }: TraceRecord) =>
  children.map(({ name, start, durationNs, attributes, parentSpanId }: SpanRecord) => {
    assert.equal(parentSpanId, root.spanId);
    const who = attributes['thread.name'] ?? attributes['ftrace.thread.names'];
    return [name, who, (start[0] * 1e9 + start[1] - START) / MS, durationNs / MS];
  });

test('the turns of the others are the children, in order, and their sum is the wait', () => {
  const trace = waited(20, ({ ran }) => {
    ran(0, 7, -5, 8);
    ran(0, 8, 8, 11);
    ran(1, 9, 0, 20);
    ran(0, 0, 11, 12);
    ran(0, 7, 12, 20);
  });
  assert.deepEqual(childrenOf(trace), [
    ['ran instead', 'task7', 0, 8],
    ['ran instead', 'task8', 8, 3],
    ['cpu idle', undefined, 11, 1],
    ['ran instead', 'task7', 12, 8],
  ]);
  const { attributes } = trace.spans[0];
  assert.equal(attributes['ftrace.explained_ratio'], 1);
  assert.equal(
    attributes['ftrace.summary'],
    '20.0 ms: 16.0 ms waited for CPU 0 behind task7, 3.0 ms waited for CPU 0 behind task8, 1.0 ms waited for CPU 0 while it was idle',
  );
  assert.equal(attributes['ftrace.ran_instead.thread.id'], 7);
});

test('short turns in a row are one child with the names of its tasks', () => {
  const trace = waited(100, ({ ran }) => {
    for (let i = 0; i < 50; i++) ran(0, 7 + (i % 2), i / 10, (i + 1) / 10);
    ran(0, 9, 5, 100);
  });
  assert.deepEqual(childrenOf(trace), [
    ['ran instead', ['task7', 'task8'], 0, 5],
    ['ran instead', 'task9', 5, 95],
  ]);
  assert.equal(trace.spans[1].attributes['ftrace.turns'], 50);
  assert.equal(trace.spans[1].attributes['ftrace.tasks'], 2);
});

test('a task that is moved waits behind the tasks of each CPU while it is in its queue', () => {
  const trace = waited(10, ({ ran, moved }) => {
    ran(0, 7, -1, 30);
    ran(1, 8, -1, 30);
    moved(1, 4);
    moved(0, 9);
  });
  assert.deepEqual(childrenOf(trace), [
    ['ran instead', 'task7', 0, 4],
    ['ran instead', 'task8', 4, 5],
    ['ran instead', 'task7', 9, 1],
  ]);
  assert.equal(trace.spans[0].attributes['ftrace.queue.moves'], 2);
});

test('time for which no turn is remembered is not known', () => {
  const trace = waited(10, ({ ran }) => {
    ran(0, 7, 0, 2);
    ran(0, 8, 6, 10);
  });
  assert.equal(trace.spans[0].attributes['ftrace.explained_ratio'], 0.6);
  assert.match(String(trace.spans[0].attributes['ftrace.summary']), /, 4\.0 ms not known$/);
});

test('a long queue of turns is remembered, and the oldest are forgotten', () => {
  const turns = 6000;
  const trace = waited(turns, ({ ran }) => {
    for (let i = 0; i < turns; i++) ran(0, 7 + (i % 3), i, i + 1);
  });
  const ratio = Number(trace.spans[0].attributes['ftrace.explained_ratio']);
  assert.ok(ratio > 0.6 && ratio < 0.7, String(ratio));
});

test('a call says what it waited for, and that it ran', () => {
  const spans = makeSpans(config({ syscalls: { thresholdNs: 1, include: ['*'] } }), testDeps(), 0);
  const { tasks, syscalls } = spans.sinks;
  tasks?.ran(0, 7, START + 2 * MS, START + 9 * MS, comm('hog'), 0);
  const back = { outNs: START + 2 * MS, runnableNs: START + 2 * MS, inNs: START + 9 * MS, state: 0 };
  tasks?.switchedIn(switchIn(back), comm('me'), 0);
  syscalls?.ended('readv', 100, 0, START, START + 10 * MS + 100 * US, 0);
  const [{ attributes }] = spans.take(1000)[0].spans;
  assert.equal(attributes['ftrace.summary'], '10.1 ms: 7.0 ms waited for CPU 0 behind hog, 3.1 ms running');
  assert.equal(attributes['ftrace.explained_ratio'], 1);
});
