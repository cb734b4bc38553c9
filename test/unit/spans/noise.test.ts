/** Traces of late timers and noise, from recordings of real kernels and from random input. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Noise, NoiseSource } from '../../../src/model/intervals.ts';
import { NOISE_SOURCES } from '../../../src/model/intervals.ts';
import type { SpanKind, SpanRecord, TraceRecord } from '../../../src/model/span.ts';
import { osnoise } from '../../../src/probes/osnoise.ts';
import { timerlat } from '../../../src/probes/timerlat.ts';
import { makeSpans, type Spans } from '../../../src/spans/spans.ts';
import { dumpedText, replayDump } from '../probes/dumps.ts';
import { TRACER_KERNELS } from '../probes/records.ts';
import { problemsOf, testDeps } from './deps.ts';

const NAME = Buffer.from('local_timer');

function spansOf(kind: SpanKind, thresholdNs = 1): Spans {
  const config = { maxTracesPerSecond: 10_000, containers: false, kinds: { [kind]: { thresholdNs } } };
  return makeSpans(config, testDeps(), 0);
}

function noise(source: NoiseSource, startNs: number, durationNs: number, recordedNs: number): Noise {
  return { source, cpu: 0, startNs, durationNs, recordedNs, id: 7 };
}

const childrenOf = (trace: TraceRecord, parent: SpanRecord) =>
  trace.spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId);

const startOf = ({ start }: SpanRecord) => start[0] * 1e9 + start[1];

for (const kernel of TRACER_KERNELS.filter((name) => name !== '5.10-rt')) {
  test(`${kernel}: activations are those of the text`, () => {
    const spans = spansOf('timerlat', 20_000);
    const { events } = replayDump(kernel, 'timerlat', timerlat, { cpus: '0-1' }, { intervals: spans.sinks });
    const traces = spans.take(1000);
    assert.deepEqual(traces.flatMap(problemsOf), []);
    const irqs = new Map<string, number>();
    const expected = dumpedText(kernel, 'timerlat')
      .slice(0, events(0))
      .flatMap((line) => {
        const [, sequence, context, ns] = /#(\d+) +context +(\S+) timer_latency +(\d+) ns/.exec(line) ?? [];
        if (context === 'irq') irqs.set(sequence, Number(ns));
        return context === 'thread' ? [{ irq: irqs.get(sequence), thread: Number(ns) }] : [];
      })
      .filter(({ thread }) => thread >= 20_000);
    assert.ok(expected.length > 10 && expected.some(({ irq }) => irq !== undefined));
    const shown = traces.map((trace) => {
      const [root] = trace.spans;
      const [irq, thread] = childrenOf(trace, root);
      if (irq !== undefined) {
        assert.deepEqual([irq.name, thread.name], ['timerlat irq', 'timerlat thread']);
        assert.equal(irq.durationNs + thread.durationNs, root.durationNs);
      }
      return { irq: irq?.durationNs, thread: root.durationNs };
    });
    const byLength = (a: { thread: number }, b: { thread: number }) => b.thread - a.thread;
    assert.deepEqual(shown.sort(byLength), expected.sort(byLength));
  });

  test(`${kernel}: periods and their sources are those of the text`, () => {
    const spans = spansOf('osnoise');
    const { events } = replayDump(kernel, 'osnoise', osnoise, { cpus: '0-1' }, { intervals: spans.sinks });
    const traces = spans.take(1000);
    assert.deepEqual(traces.flatMap(problemsOf), []);
    const expected = [0, 1].flatMap((cpu) => {
      const lines = dumpedText(kernel, 'osnoise').filter((line) => line.includes(`[00${cpu}]`));
      let totals = new Map<string, number>();
      return lines.slice(0, events(cpu)).flatMap((line) => {
        const [, runtime, ns] = /: (\d+) +(\d+) +[\d.]+ +\d+ /.exec(line) ?? [];
        if (runtime !== undefined) {
          const period = { cpu, runtime: Number(runtime) * 1000, noise: Number(ns) * 1000, totals };
          totals = new Map();
          return Number(ns) > 0 ? [period] : [];
        }
        const [, gap] = /sample_threshold: .*duration (\d+) ns interference 0$/.exec(line) ?? [];
        const [, source, took] = /: (\w+)_noise: .*duration (\d+) ns/.exec(line) ?? [];
        const key = gap === undefined ? source : 'hw';
        if (key !== undefined) totals.set(key, (totals.get(key) ?? 0) + Number(gap ?? took));
        return [];
      });
    });
    assert.ok(expected.length > 2, `${expected.length} periods`);
    const seconds = (span: SpanRecord, key: string) =>
      Math.round(Number(span.attributes[`ftrace.osnoise.${key}`]) * 1e9);
    const shown = traces.map(({ spans: [root] }) => ({
      cpu: Number(root.attributes['cpu.logical_number']),
      runtime: root.durationNs,
      noise: seconds(root, 'noise'),
      totals: new Map(
        NOISE_SOURCES.flatMap((source) => {
          const ns = seconds(root, source);
          return ns === 0 ? [] : [[source as string, ns] as const];
        }),
      ),
    }));
    const sortKey = (p: { cpu: number; noise: number; runtime: number }) =>
      p.cpu * 1e15 + p.noise * 1e6 + p.runtime / 1e6;
    const sorted = <T extends { cpu: number; noise: number; runtime: number }>(list: T[]) =>
      list.sort((a, b) => sortKey(a) - sortKey(b));
    assert.deepEqual(sorted(shown), sorted(expected));
    const names = traces.flatMap((trace) => trace.spans.slice(1));
    assert.ok(names.some(({ name, attributes }) => name === 'irq noise' && attributes['ftrace.irq.handler']));
    assert.ok(names.some(({ name, attributes }) => name === 'thread noise' && attributes['thread.name']));
    for (const span of names) {
      if (span.attributes['ftrace.cut_at_start'] || span.attributes['ftrace.cut_at_end']) continue;
      const inner = traces.flatMap((trace) => childrenOf(trace, span));
      const took = Math.round(Number(span.attributes['ftrace.noise.time']) * 1e9);
      assert.equal(span.durationNs - inner.reduce((sum, { durationNs }) => sum + durationNs, 0), took);
    }
  });
}

test('what had the CPU is in the part of the activation in which it ran, cut in two if in both', () => {
  const spans = spansOf('timerlat', 1000);
  const sink = spans.sinks.timerlat;
  assert.ok(sink);
  const held = (source: NoiseSource, startNs: number, durationNs: number, endNs: number, more = 10) =>
    sink.held(noise(source, startNs, durationNs, 50_000 + endNs + more), NAME, 0, NAME.length);
  // The tracer's clock is 50,000 ns behind the trace clock. On the tracer's clock, the timer should fire at 100,000.
  held('irq', 99_000, 500, 99_500);
  held('nmi', 100_100, 50, 100_150);
  held('irq', 100_400, 700, 101_100, 300);
  // A softirq that a nested interrupt interrupted for 200 ns.
  held('irq', 101_500, 200, 101_700);
  held('softirq', 101_300, 800, 102_300);
  held('thread', 102_500, 400, 102_900);
  // The record came 10 ns after the thread's wake-up, so the difference of the clocks seems 10 ns larger.
  sink.activated(0, 153_010, 600, 3000, 55);
  const [trace] = spans.take(1000);
  assert.deepEqual(problemsOf(trace), []);
  const rows = trace.spans.map((span) => [
    span.name,
    startOf(span) - 150_010,
    span.durationNs,
    span.attributes['ftrace.cut_at_start'] ?? span.attributes['ftrace.cut_at_end'] ?? false,
  ]);
  assert.deepEqual(rows, [
    ['timerlat activation', 0, 3000, false],
    ['timerlat irq', 0, 600, false],
    ['nmi noise', 100, 50, false],
    ['irq noise', 400, 200, true],
    ['timerlat thread', 600, 2400, false],
    ['irq noise', 600, 500, true],
    ['softirq noise', 1300, 1000, false],
    ['irq noise', 1500, 200, false],
    ['thread noise', 2500, 400, false],
  ]);
  const softirq = trace.spans[6];
  assert.deepEqual(softirq.attributes, {
    'cpu.logical_number': 0,
    'ftrace.noise.time': 8e-7,
    'ftrace.softirq.vector': 'SCHED',
  });
});

const anyNoise = fc.record({
  source: fc.constantFrom(...NOISE_SOURCES),
  startNs: fc.integer({ min: 0, max: 100_000 }),
  durationNs: fc.integer({ min: 0, max: 50_000 }),
  recordedNs: fc.integer({ min: 0, max: 200_000 }),
});

test('for any input, children lie within their parent and are at most 32 per level', () => {
  let shown = 0;
  fc.assert(
    fc.property(
      fc.array(anyNoise, { maxLength: 300, size: 'max' }),
      fc.integer({ min: -100, max: 200_000 }),
      (all, irqNs) => {
        for (const kind of ['timerlat', 'osnoise'] as const) {
          const spans = spansOf(kind);
          const { timerlat: late, osnoise: noisy } = spans.sinks;
          for (const { source, startNs, durationNs, recordedNs } of all)
            (late ?? noisy)?.held(noise(source, startNs, durationNs, recordedNs), NAME, 0, NAME.length);
          late?.activated(0, 200_000, irqNs, 150_000, 5);
          noisy?.period(0, 200_000, 150_000, 100, 100);
          const [trace, ...more] = spans.take(1000);
          assert.deepEqual([problemsOf(trace), more.length], [[], 0]);
          const parents = kind === 'timerlat' ? childrenOf(trace, trace.spans[0]) : [trace.spans[0]];
          for (const parent of parents) assert.ok(childrenOf(trace, parent).length <= 32);
          shown += trace.spans.length;
        }
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(shown > 3000, `${shown}`);
});

test('a period that may have lost events, or has more than are kept, says so', () => {
  const spans = spansOf('osnoise');
  const sink = spans.sinks.osnoise;
  const rows = () =>
    spans.take(1000).map(({ spans: [root] }) => root.attributes['ftrace.incomplete'] === true);
  sink?.period(0, 2_000_000, 1_000_000, 5000, 5000);
  assert.deepEqual(rows(), [false]);
  sink?.lost(0, 2_500_000);
  sink?.period(0, 3_000_000, 1_000_000, 5000, 5000);
  sink?.period(1, 3_000_000, 1_000_000, 4000, 4000);
  assert.deepEqual(rows(), [true, false]);
  for (let i = 0; i < 3000; i++) sink?.held(noise('irq', 4_000_000 + i, 1, 4_000_001 + i), NAME, 0, 3);
  sink?.period(0, 5_000_000, 1_500_000, 5000, 5000);
  assert.deepEqual(rows(), [true]);
});

for (const ppm of [-500, -20, 20, 50]) {
  test(`noise lies where it was, though the tracer's clock runs away from the trace clock by ${ppm} ppm`, () => {
    const onTracers = (ns: number) => Math.round(7e9 + ns * (1 - ppm / 1e6));
    const timers = spansOf('timerlat');
    const periods = spansOf('osnoise');
    const held = (spans: Spans, atNs: number, durationNs: number, recordedNs: number) => {
      const rows = noise('irq', onTracers(atNs), durationNs, recordedNs);
      (spans.sinks.timerlat ?? spans.sinks.osnoise)?.held(rows, NAME, 0, NAME.length);
    };
    const places = (spans: Spans) =>
      spans.take(1000).map(({ spans: all }) => all.filter(({ name }) => name === 'irq noise').map(startOf));
    // On an isolated CPU there is one interruption per second. The last one makes an activation late.
    for (let second = 1; second <= 100; second++) held(timers, second * 1e9, 5000, second * 1e9 + 5900);
    timers.sinks.timerlat?.activated(0, 100e9 + 20_000, 0, 30_000, 5);
    const [[late]] = places(timers);
    assert.ok(late >= 100e9 && late <= 100e9 + 900, `${late - 100e9} ns`);
    // In a period of ten seconds, every second interruption is recorded late, because another one interrupted it.
    for (let i = 0; i < 20; i++) {
      held(periods, 10e9 + i * 5e8 + 2000, 3000, 10e9 + i * 5e8 + 5700);
      held(periods, 10e9 + i * 5e8, 5000, 10e9 + i * 5e8 + 8700);
    }
    periods.sinks.osnoise?.period(0, 20e9, 10e9, 150_000, 5000);
    const [starts] = places(periods);
    const outer = starts.filter((_, i) => i % 2 === 0);
    assert.equal(outer.length, 20);
    outer.forEach((startNs, i) => {
      const offNs = startNs - 10e9 - i * 5e8;
      assert.ok(offNs >= 0 && offNs <= 800, `${i}: ${offNs} ns`);
    });
  });
}
