/** Spans of applications by thread and time, with every odd sequence of markers that a program can write. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AppContexts,
  CONTEXT_LIMITS,
  type ContextLimits,
  type MarkerOutcome,
  makeAppContexts,
} from '../../../src/spans/app-contexts.ts';

const S = 1e9;
const id = (n: number, digits: number) => n.toString(16).padStart(digits, '0');
const span = (n: number, isSampled = true) => ({ traceId: id(n, 32), spanId: id(n, 16), isSampled });

type Counts = Partial<Record<MarkerOutcome, number>>;

function make(limits: Partial<ContextLimits> = {}) {
  const counts: Counts = {};
  const contexts = makeAppContexts(
    (outcome) => {
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    },
    { ...CONTEXT_LIMITS, ...limits },
  );
  return { contexts, counts, ...writing(contexts) };
}

/** Calls the sink as the probe does: it asks first whether the sink takes the marker. */
function writing({ sink }: AppContexts) {
  const if_ = (pid: number, atNs: number, step: () => void) => {
    if (sink.takes(pid, atNs)) step();
  };
  return {
    begin: (pid: number, atNs: number, marked: ReturnType<typeof span>) =>
      if_(pid, atNs, () => sink.began(pid, atNs, marked)),
    end: (pid: number, atNs: number, marked: ReturnType<typeof span>) =>
      if_(pid, atNs, () => sink.ended(pid, atNs, marked)),
  };
}

test('a thread is in its span from begin to end, and other threads are not', () => {
  const { contexts, counts, begin, end } = make();
  begin(7, 100, span(1));
  assert.equal(contexts.parentOf(7, 99), undefined);
  assert.deepEqual(contexts.parentOf(7, 100), { traceId: id(1, 32), spanId: id(1, 16) });
  assert.equal(contexts.parentOf(8, 150), undefined);
  end(7, 200, span(1));
  assert.equal(contexts.parentOf(7, 200), undefined);
  // An operation that began within the span has the span as parent, even if it is reported later.
  assert.equal(contexts.parentOf(7, 199)?.spanId, id(1, 16));
  assert.deepEqual(counts, { accepted: 2 });
});

test('the innermost span counts, and after it the outer one again', () => {
  const { contexts, begin, end } = make();
  begin(7, 100, span(1));
  begin(7, 200, span(2));
  end(7, 300, span(2));
  const seen = [150, 250, 350].map((atNs) => contexts.parentOf(7, atNs)?.spanId);
  assert.deepEqual(seen, [id(1, 16), id(2, 16), id(1, 16)]);
});

test('an end also ends what was begun within it and never ended', () => {
  const { contexts, counts, begin, end } = make();
  begin(7, 100, span(1));
  begin(7, 200, span(2));
  end(7, 300, span(1));
  assert.equal(contexts.parentOf(7, 300), undefined);
  assert.deepEqual(counts, { accepted: 3, unpaired: 1 });
});

test('an end without a begin, and one of another thread, end nothing', () => {
  const { contexts, counts, begin, end } = make();
  begin(7, 100, span(1));
  end(8, 150, span(1));
  end(7, 160, span(2));
  assert.equal(contexts.parentOf(7, 170)?.spanId, id(1, 16));
  assert.deepEqual(counts, { accepted: 1, unpaired: 2 });
});

test('a span that is begun twice begins again, and what was within it is over', () => {
  const { contexts, counts, begin, end } = make();
  begin(7, 100, span(1));
  begin(7, 150, span(2));
  begin(7, 200, span(1));
  end(7, 300, span(1));
  assert.equal(contexts.parentOf(7, 250)?.spanId, id(1, 16));
  assert.equal(contexts.parentOf(7, 300), undefined);
  assert.deepEqual(counts, { accepted: 4, unpaired: 1 });
});

test('a span that is not sampled is nobody’s parent, and hides the one around it', () => {
  const { contexts, counts, begin, end } = make();
  begin(7, 100, span(1));
  begin(7, 200, span(2, false));
  end(7, 300, span(2, false));
  assert.equal(contexts.parentOf(7, 250), undefined);
  assert.equal(contexts.parentOf(7, 350)?.spanId, id(1, 16));
  assert.deepEqual(counts, { accepted: 1, unsampled: 2 });
});

test('a task that ends takes its spans along: the next task with that pid is in none', () => {
  const { contexts, counts, begin, end } = make();
  begin(7, 100, span(1));
  contexts.sink.exited(7, 200);
  assert.equal(contexts.parentOf(7, 150)?.spanId, id(1, 16));
  assert.equal(contexts.parentOf(7, 200), undefined);
  end(7, 300, span(1));
  assert.deepEqual(counts, { accepted: 1, unpaired: 1 });
  contexts.sink.exited(99, 200);
});

test('after a loss no span that began before it is trusted', () => {
  const { contexts, begin } = make();
  begin(7, 100, span(1));
  begin(8, 500, span(2));
  contexts.sink.lost(400);
  assert.equal(contexts.parentOf(7, 400), undefined);
  assert.equal(contexts.parentOf(8, 600)?.spanId, id(2, 16));
  begin(7, 700, span(3));
  assert.equal(contexts.parentOf(7, 800)?.spanId, id(3, 16));
});

test('a flood by one thread is cut off each second, and the others still get their turn', () => {
  const { contexts, counts, begin } = make({
    perTaskSecond: 10,
    perSecond: 1000,
    depth: 1000,
    perTask: 1000,
  });
  for (let i = 1; i <= 100; i++) begin(7, i, span(i));
  begin(8, 101, span(500));
  assert.equal(contexts.parentOf(8, 102)?.spanId, id(500, 16));
  assert.deepEqual(counts, { accepted: 11, over_limit: 90 });
  begin(7, S + 1, span(600));
  assert.equal(contexts.parentOf(7, S + 2)?.spanId, id(600, 16));
});

test('a flood by many threads is cut off each second', () => {
  const { counts, begin } = make({ perSecond: 50 });
  for (let pid = 1; pid <= 80; pid++) begin(pid, 100, span(pid));
  assert.deepEqual(counts, { accepted: 50, over_limit: 30 });
});

test('depth, spans of a thread, spans of all and threads are bounded', () => {
  const deep = make({ depth: 3 });
  for (let i = 1; i <= 5; i++) deep.begin(7, i, span(i));
  assert.deepEqual(deep.counts, { accepted: 3, over_limit: 2 });
  // A span that was refused cannot be ended.
  deep.end(7, 10, span(5));
  assert.deepEqual(deep.counts, { accepted: 3, over_limit: 2, unpaired: 1 });

  const long = make({ perTask: 4 });
  for (let i = 1; i <= 50; i++) {
    long.begin(7, 10 * i, span(i));
    long.end(7, 10 * i + 5, span(i));
  }
  assert.equal(long.contexts.size(), 4);
  assert.equal(long.contexts.parentOf(7, 502)?.spanId, id(50, 16));
  assert.equal(long.contexts.parentOf(7, 12), undefined);

  const many = make({ total: 5 });
  for (let pid = 1; pid <= 8; pid++) many.begin(pid, pid, span(pid));
  assert.equal(many.contexts.size(), 5);
  assert.deepEqual(many.counts, { accepted: 5, over_limit: 3 });

  const tasks = make({ tasks: 2 });
  for (let pid = 1; pid <= 3; pid++) tasks.begin(pid, pid, span(pid));
  assert.deepEqual(tasks.counts, { accepted: 2, over_limit: 1 });
});

test('what is over is forgotten after a while, and what never ends ends by itself', () => {
  const { contexts, begin, end } = make({ keptNs: 10 * S, longestNs: 60 * S });
  begin(7, 1 * S, span(1));
  end(7, 2 * S, span(1));
  begin(8, 1 * S, span(2));
  contexts.sweep(11 * S);
  assert.equal(contexts.size(), 2);
  contexts.sweep(12 * S);
  assert.equal(contexts.size(), 1);
  assert.equal(contexts.parentOf(8, 60 * S)?.spanId, id(2, 16));
  assert.equal(contexts.parentOf(8, 61 * S), undefined);
  contexts.sweep(61 * S);
  contexts.sweep(72 * S);
  assert.equal(contexts.size(), 0);
});

test('a long flood of everything stays within the bounds', () => {
  const { contexts, counts, begin, end } = make({ tasks: 100, total: 200, perTask: 8 });
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  let written = 0;
  for (let i = 0; i < 50_000; i++) {
    const [pid, marked, atNs] = [1 + random(1000), span(1 + random(20), random(2) === 0), i * 1e6];
    const what = random(10);
    if (what < 5) begin(pid, atNs, marked);
    else if (what < 9) end(pid, atNs, marked);
    else contexts.sink.exited(pid, atNs);
    if (what < 9) written++;
    if (i % 1000 === 0) contexts.sweep(atNs);
    assert.ok(contexts.size() <= 200);
  }
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  assert.ok(total >= written, 'every marker is counted');
});
