/** Compares trees of calls with the kernel's own text of the same buffer, and tries any sequence of returns. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { intReader } from '../../../src/decode/fields.ts';
import type { FunctionNames } from '../../../src/model/function-names.ts';
import type { FunctionReturn } from '../../../src/model/intervals.ts';
import type { KindOptions, SpanRecord, TraceRecord } from '../../../src/model/span.ts';
import { functionGraph } from '../../../src/probes/function-graph.ts';
import { makeSpans, type Spans } from '../../../src/spans/spans.ts';
import { graphDuration } from '../../vm/guest/kernel-text.ts';
import { dumpedText, replayDump } from '../probes/dumps.ts';
import { loadFormat, TRACER_KERNELS } from '../probes/records.ts';
import { problemsOf, testDeps } from './deps.ts';

const ALL: KindOptions = { thresholdNs: 1, minChildNs: 0, maxSpans: 1000 };

function spansOf(options: KindOptions): Spans {
  const config = { maxTracesPerSecond: 10_000, containers: false, kinds: { function_graph: options } };
  return makeSpans(config, testDeps(), 0);
}

/** A call, with the calls that it made. The duration is text, as the kernel prints it. */
interface Call {
  name: string;
  duration: string;
  children: Call[];
}

function print({ name, duration, children }: Call): string {
  return `${name} ${duration}${children.length === 0 ? '' : ` (${children.map(print).join(', ')})`}`;
}

function callOf(trace: TraceRecord, span: SpanRecord): Call {
  return {
    name: String(span.attributes['code.function.name']),
    duration: graphDuration(span.durationNs),
    children: trace.spans
      .filter(({ parentSpanId }) => parentSpanId === span.spanId)
      .map((child) => callOf(trace, child)),
  };
}

/** Reads the text of a CPU's buffer: names of returns in their order, and trees that are complete in the text. */
function readText(lines: readonly string[], cpu: number): { names: string[]; trees: Call[] } {
  const names: string[] = [];
  const trees: Call[] = [];
  const open = new Map<string, Call[]>();
  /** Name of the last entry at each depth, of any task. A return at the same depth is printed without its name. */
  const entered: string[] = [];
  let task = 'the first';
  for (const line of lines) {
    const banner = /^ *(\d+)\) +\S.* => +(\S+) +$/.exec(line);
    if (banner !== null && Number(banner[1]) === cpu) task = banner[2];
    const match = /^ *(\d+)\) (.*)\| {2}( *)(?:(\S+)\((\) \{|\);)|\}(?: \/\* (\S+) \*\/)?)$/.exec(line);
    if (match === null || Number(match[1]) !== cpu) continue;
    const [, , cost, indent, called, shape, returned] = match;
    const stack = open.get(task) ?? [];
    open.set(task, stack);
    const depth = indent.length / 2;
    const duration = /([\d.]+) us/.exec(cost)?.[1] ?? '';
    if (shape === ') {') {
      entered[depth] = called;
      stack.length = depth;
      stack[depth] = { name: called, duration: '', children: [] };
      continue;
    }
    const call = shape === ');' ? { name: called, duration, children: [] } : stack[depth];
    names.push(returned ?? (shape === ');' ? called : entered[depth]));
    if (call === undefined || (returned !== undefined && returned !== call.name)) continue;
    call.duration = duration;
    if (depth === 0) trees.push(call);
    else stack[depth - 1]?.children.push(call);
    stack.length = depth;
  }
  return { names, trees };
}

for (const kernel of TRACER_KERNELS) {
  test(`${kernel}: trees of calls are those of the text`, () => {
    const format = loadFormat('ftrace:funcgraph_exit', kernel);
    assert.ok(format);
    const [low, depthOf] = [
      (format.fields.find(({ name }) => name === 'func')?.offset ?? 0) >> 2,
      intReader(format, 'depth'),
    ];
    const text = [0, 1].map((cpu) => readText(dumpedText(kernel, 'function_graph'), cpu));
    const seen: string[][] = [[], []];
    let outermost = 0;
    const namesByAddress = new Map<string, string>();
    replayDump(
      kernel,
      'function_graph',
      functionGraph,
      { unfiltered: true },
      {
        watch: (event, record) => {
          if (event !== 'ftrace:funcgraph_exit') return;
          const at = (record.offset >> 2) + low;
          const address = `${record.words[at]} ${record.words[at + 1]}`;
          const name = text[record.cpu].names[seen[record.cpu].length];
          seen[record.cpu].push(name ?? 'behind the text');
          if (name !== undefined) {
            assert.equal(namesByAddress.get(address) ?? name, name);
            namesByAddress.set(address, name);
          }
          if (depthOf(record) === 0) outermost++;
        },
      },
    );
    const functions: FunctionNames = {
      generation: 1,
      nameOf: (lowHalf, high) => namesByAddress.get(`${lowHalf} ${high}`),
    };
    const spans = spansOf(ALL);
    replayDump(
      kernel,
      'function_graph',
      functionGraph,
      { unfiltered: true },
      {
        functions,
        intervals: spans.sinks,
      },
    );
    const traces = spans.take(1000);
    assert.deepEqual(traces.flatMap(problemsOf), []);
    assert.equal(traces.length, outermost);
    const ours = traces.map((trace) => print(callOf(trace, trace.spans[0]))).sort();
    const unmatched = [...ours];
    // The text contains more events than the pages, so use only the trees from before the end of the pages.
    const theirs = text.flatMap(({ trees }, cpu) => {
      let returns = 0;
      return trees.filter((tree) => {
        returns += countOf(tree);
        return returns <= seen[cpu].length - 8;
      });
    });
    assert.ok(theirs.length >= 40, `${theirs.length} trees`);
    assert.ok(theirs.some(({ children }) => children.length > 0));
    const missing = theirs.map(print).filter((tree) => {
      const at = unmatched.indexOf(tree);
      if (at >= 0) unmatched.splice(at, 1);
      return at < 0;
    });
    assert.deepEqual(missing, []);
  });
}

function countOf(call: Call): number {
  return call.children.reduce((sum, child) => sum + countOf(child), 1);
}

/** Any sequence of returns: of several tasks, in order or not, with any durations. */
const returns = fc.array(
  fc.record({
    pid: fc.integer({ min: 0, max: 3 }),
    cpu: fc.integer({ min: 0, max: 3 }),
    depth: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: -1, max: 200 })),
    endsAfter: fc.integer({ min: -20, max: 1000 }),
    durationNs: fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 100_000 })),
    inInterrupt: fc.boolean(),
    isLost: fc.boolean(),
  }),
  { minLength: 40, maxLength: 400, size: 'max' },
);
const someOptions = fc.record({
  thresholdNs: fc.constantFrom(1, 1000, 5000),
  minChildNs: fc.constantFrom(0, 100, 1000),
  maxSpans: fc.constantFrom(1, 2, 5, 100),
});

test('whatever returns, children lie within their parent, and trees are bounded', () => {
  let trees = 0;
  fc.assert(
    fc.property(returns, someOptions, (sequence, options) => {
      const spans = spansOf(options);
      const sink = spans.sinks.functions;
      assert.ok(sink);
      let endNs = 1e9;
      for (const { endsAfter, isLost, ...call } of sequence) {
        endNs += endsAfter;
        const recordedNs = endNs + 500;
        if (isLost && endsAfter % 7 === 0) sink.lost(recordedNs);
        sink.returned({ low: 1, high: 0, ...call, startNs: endNs - call.durationNs, endNs, recordedNs });
      }
      const traces = spans.take(1000);
      trees += traces.length;
      assert.deepEqual(traces.flatMap(problemsOf), []);
      for (const trace of traces) assert.ok(trace.spans.length <= options.maxSpans);
      // Each return may be in only one tree.
      const calls = traces.reduce((sum, { spans: inner, pruned }) => sum + inner.length + pruned, 0);
      assert.ok(calls <= sequence.length, `${calls} of ${sequence.length}`);
    }),
    { numRuns: 500 },
  );
  assert.ok(trees > 1000);
});

type Nested = { ownNs: number; calls: Nested[] };
const nested = (levels: number): fc.Arbitrary<Nested> =>
  fc.record({
    ownNs: fc.integer({ min: 1, max: 400 }),
    calls: levels === 0 ? fc.constant([]) : fc.array(nested(levels - 1), { maxLength: 4 }),
  });

test('calls that are left out are counted where they belong; the longest are kept', () => {
  fc.assert(
    fc.property(
      nested(4),
      fc.constantFrom(1, 3, 20, 1000),
      fc.constantFrom(0, 200),
      (root, maxSpans, minChildNs) => {
        const spans = spansOf({ thresholdNs: 1, minChildNs, maxSpans });
        let clock = 1000;
        const durations: number[] = [];
        const run = ({ ownNs, calls }: Nested, depth: number): void => {
          const startNs = clock;
          for (const call of calls) run(call, depth + 1);
          clock += ownNs;
          const durationNs = clock - startNs;
          durations.push(durationNs);
          spans.sinks.functions?.returned({
            ...{ low: 1, high: 0, pid: 7, cpu: 0, depth, inInterrupt: false },
            ...{ startNs, endNs: clock, durationNs, recordedNs: clock },
          });
        };
        run(root, 0);
        const [trace, ...more] = spans.take(1000);
        assert.deepEqual([problemsOf(trace), more.length], [[], 0]);
        const longest = durations.filter((ns, i) => ns >= minChildNs || i === durations.length - 1);
        const shown = trace.spans.map(({ durationNs }) => durationNs);
        const byLength = (ns: number[]) => [...ns].sort((a, b) => b - a);
        if (durations.length < 4 * maxSpans)
          assert.deepEqual(byLength(shown), byLength(longest).slice(0, maxSpans));
        const reported = trace.spans.reduce(
          (sum, s) => sum + Number(s.attributes['ftrace.calls.pruned'] ?? 0),
          0,
        );
        assert.equal(reported, trace.pruned);
        assert.equal(trace.spans.length + trace.pruned, durations.length);
        for (const span of trace.spans) {
          const inner = trace.spans.filter(({ parentSpanId }) => parentSpanId === span.spanId);
          const keptNs = inner.reduce((sum, { durationNs }) => sum + durationNs, 0);
          const prunedNs = Math.round(Number(span.attributes['ftrace.calls.pruned_time'] ?? 0) * 1e9);
          assert.ok(keptNs + prunedNs < span.durationNs);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a task with endless calls stays within its memory, and keeps the longest', () => {
  const spans = spansOf({ thresholdNs: 1, minChildNs: 0, maxSpans: 10 });
  const call: FunctionReturn = {
    ...{ low: 1, high: 0, pid: 7, cpu: 0, depth: 1, inInterrupt: false },
    ...{ startNs: 0, endNs: 0, durationNs: 0, recordedNs: 0 },
  };
  const add = (over: Partial<FunctionReturn>): void =>
    spans.sinks.functions?.returned({ ...call, ...over, recordedNs: over.endNs ?? 0 });
  for (let i = 0; i < 100_000; i++) {
    const durationNs = 1 + ((i * 7919) % 99_991);
    add({ startNs: 1e6 * (i + 1), endNs: 1e6 * (i + 1) + durationNs, durationNs });
    // Add returns of other tasks, whose outermost calls never return.
    if (i % 5 === 0) add({ pid: 100 + i, startNs: 1e6 * i, endNs: 1e6 * i + 50, durationNs: 50 });
  }
  const endNs = 1e6 * 100_002;
  add({ depth: 0, startNs: 1e6, endNs, durationNs: endNs - 1e6 });
  const trace = spans.take(1000).find(({ spans: [root] }) => root.attributes['ftrace.thread.id'] === 7);
  assert.ok(trace);
  const shown = trace.spans.slice(1).map(({ durationNs }) => durationNs);
  assert.equal(shown.length, 9);
  assert.ok(Math.min(...shown) > 99_900, `${shown}`);
  assert.equal(trace.spans.length + trace.pruned, 100_001);
});

test('an interrupt on top of a call is in its tree and marked; without a call it belongs to no task', () => {
  const spans = spansOf({ thresholdNs: 1, minChildNs: 0, maxSpans: 10 });
  const add = (depth: number, startNs: number, endNs: number, inInterrupt: boolean, pid = 7): void =>
    spans.sinks.functions?.returned({
      ...{ low: 1, high: 0, pid, cpu: 0, depth, inInterrupt },
      ...{ startNs, endNs, durationNs: endNs - startNs, recordedNs: endNs },
    });
  add(1, 200, 300, true);
  // All idle tasks have pid 0. This return is from the idle task of another CPU, so it must not be in the tree.
  spans.sinks.functions?.returned({
    ...{ low: 1, high: 0, pid: 0, cpu: 1, depth: 1, inInterrupt: true },
    ...{ startNs: 250, endNs: 350, durationNs: 100, recordedNs: 350 },
  });
  add(0, 240, 360, false, 0);
  add(0, 100, 400, false);
  add(0, 500, 600, true);
  const traces = spans.take(1000);
  const reported = traces.map(({ spans: all }) =>
    all.map(({ durationNs, attributes }) => [
      durationNs,
      attributes['ftrace.interrupt'] === true,
      attributes['ftrace.thread.id'],
    ]),
  );
  assert.deepEqual(reported, [
    [
      [300, false, 7],
      [100, true, undefined],
    ],
    [[120, false, 0]],
    [[100, true, undefined]],
  ]);
});

test('a tree that may have lost calls says so', () => {
  const spans = spansOf({ thresholdNs: 1, minChildNs: 0, maxSpans: 10 });
  const add = (depth: number, startNs: number, endNs: number): void =>
    spans.sinks.functions?.returned({
      ...{ low: 1, high: 0, pid: 7, cpu: 0, depth, inInterrupt: false },
      ...{ startNs, endNs, durationNs: endNs - startNs, recordedNs: endNs },
    });
  add(1, 110, 150);
  spans.sinks.functions?.lost(160);
  add(0, 100, 200);
  add(0, 210, 300);
  // The return of the call around this one is lost.
  add(1, 310, 350);
  add(0, 400, 450);
  const reported = spans
    .take(1000)
    .map(({ spans: [root] }) => [root.durationNs, root.attributes['ftrace.incomplete'] === true]);
  assert.deepEqual(reported.sort(), [
    [100, true],
    [40, true],
    [50, false],
    [90, false],
  ]);
});

test('a tree that is reported a minute late lies where it was, though the clocks drift apart', () => {
  const spans = spansOf({ thresholdNs: 1, minChildNs: 0, maxSpans: 10 });
  // The trace clock is 50 ppm faster than the tracer's clock.
  const traceNs = (ns: number): number => 1_000_000_000 + ns + ns / 20_000;
  const add = (depth: number, startNs: number, endNs: number): void =>
    spans.sinks.functions?.returned({
      ...{ low: 1, high: 0, pid: 7, cpu: 0, depth, inInterrupt: false },
      ...{ startNs, endNs, durationNs: endNs - startNs, recordedNs: traceNs(endNs) },
    });
  // These calls have depth 1, within a call that is not traced.
  add(1, 200_000, 400_000);
  add(1, 70_000_000_000, 70_000_200_000);
  const [{ spans: reported }] = spans.take(1000);
  assert.deepEqual([reported[0].start, reported[0].attributes['ftrace.incomplete']], [[1, 200_020], true]);
});
