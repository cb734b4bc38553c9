import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createProtobufRenderer } from '../../../src/export/exposition/protobuf.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { createProcessMetrics } from '../../../src/export/process-metrics.ts';
import type { SampleFamily } from '../../../src/export/sample-family.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { MetricSnapshot } from '../../../src/model/metric.ts';
import { parseExposition } from '../../support/exposition.ts';
import { classicSamples, decodeFamilies, nativeBuckets, type Sample } from '../../support/protobuf.ts';

/** A snapshot without the families that every store has about itself. */
function snapshotOf(store: MetricStore): MetricSnapshot {
  const families = store.snapshot().families.filter((f) => !f.spec.name.startsWith('ftrace_exporter_series'));
  return { families };
}

/** The samples of the text format, in the form of `classicSamples`. */
function textSamples(snapshots: readonly MetricSnapshot[], foreign?: readonly SampleFamily[]): Sample[] {
  return parseExposition(createRenderer().render(snapshots, 'text', foreign).toString()).map(
    ({ name, labels, value }) => {
      const { le, ...others } = labels;
      const asNumber = (text: string) => Number(text.replace('Inf', 'Infinity'));
      const bound = le === undefined ? {} : { le: String(asNumber(le)) };
      return { name, labels: { ...others, ...bound }, value: asNumber(value) };
    },
  );
}

const decode = (snapshots: readonly MetricSnapshot[], foreign?: readonly SampleFamily[]) =>
  decodeFamilies(createProtobufRenderer().render(snapshots, foreign));

/** Fractions of 2^(i/8), i = -8 … -1, as Prometheus has them (model/histogram/generic.go, exponentialBounds). */
const FRACTIONS = [
  0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048, 0.7071067811865475, 0.7711054127039704,
  0.8408964152537144, 0.9170040432046711,
];
/** Upper bound of a native bucket of schema 3, computed as Prometheus does. */
const upperBound = (index: number) => FRACTIONS[index & 7] * 2 ** ((index >> 3) + 1);

test('a small scrape, message by message', () => {
  const store = new MetricStore();
  const bytes = store.counter({
    name: 'io_bytes_total',
    help: 'Bytes, "quoted"\\\nand more.',
    unit: 'bytes',
    labels: ['device'],
  });
  bytes.add(bytes.slot(['sda']), 4096);
  bytes.slot(['s"d\\b\n']);
  const max = store.maxGauge({
    name: 'max_seconds',
    help: '',
    divisor: 1e9,
    labels: ['cpu'],
    windowMs: 1000,
  });
  max.slot(['0']);
  max.record(max.slot(['1']), 2500);
  store.gauge({ name: 'nothing_here', help: 'No series.', labels: ['cpu'] });
  store.counter({ name: 'odd_total', help: '', unit: 'seconds' }).slot([]);
  const latency = store.histogram({ name: 'latency_seconds', help: 'Latency.', bounds: [1e-6, 1e-3, 1] });
  const slot = latency.slot([]);
  // 2^-1 s and 1 s are bounds of native buckets, which are inclusive.
  for (const ns of [0, 0, 5e8, 5e8, 5e8, 5e8 + 1, 1e9, 1e9 + 1, 6e10]) latency.record(slot, ns);
  assert.deepEqual(decode([snapshotOf(store)]), [
    {
      name: 'io_bytes_total',
      help: 'Bytes, "quoted"\\\nand more.',
      type: 'COUNTER',
      unit: 'bytes',
      metric: [
        { label: [{ name: 'device', value: 'sda' }], counter: { value: 4096 } },
        { label: [{ name: 'device', value: 's"d\\b\n' }], counter: { value: 0 } },
      ],
    },
    {
      name: 'max_seconds',
      help: '',
      type: 'GAUGE',
      metric: [{ label: [{ name: 'cpu', value: '1' }], gauge: { value: 2.5e-6 } }],
    },
    { name: 'odd_total', help: '', type: 'COUNTER', metric: [{ counter: { value: 0 } }] },
    {
      name: 'latency_seconds',
      help: 'Latency.',
      type: 'HISTOGRAM',
      unit: 'seconds',
      metric: [
        {
          histogram: {
            sampleCount: 9,
            sampleSum: 64.000000002,
            bucket: [
              { cumulativeCount: 2, upperBound: 1e-6 },
              { cumulativeCount: 2, upperBound: 1e-3 },
              { cumulativeCount: 7, upperBound: 1 },
            ],
            schema: 3,
            zeroThreshold: 1e-128,
            zeroCount: 2,
            positiveSpan: [
              { offset: -8, length: 2 },
              { offset: 6, length: 2 },
              { offset: 46, length: 1 },
            ],
            positiveDelta: [3, -2, 0, 0, 0],
          },
        },
      ],
    },
  ]);
});

test('nothing to show is an empty body', () => {
  assert.equal(createProtobufRenderer().render([]).length, 0);
  assert.equal(createProtobufRenderer().render([{ families: [] }]).length, 0);
  assert.deepEqual(decode([], [{ name: 'x', help: '', kind: 'gauge', samples: [] }]), []);
});

test('a histogram without values is native as well', () => {
  const store = new MetricStore();
  store.histogram({ name: 'h_seconds', help: '', bounds: [1] }).slot([]);
  const [{ metric }] = decode([snapshotOf(store)]);
  assert.deepEqual(metric, [
    {
      histogram: {
        sampleCount: 0,
        sampleSum: 0,
        bucket: [{ cumulativeCount: 0, upperBound: 1 }],
        schema: 3,
        zeroThreshold: 1e-128,
        zeroCount: 0,
      },
    },
  ]);
});

test('any store gives the same as in the text format, and native buckets of the same values', (t) => {
  const seed = Date.now() & 0x7fffffff;
  t.diagnostic(`seed ${seed}`);
  const duration = fc.oneof(
    fc.nat(3),
    fc.nat(5000),
    fc.integer({ min: 0, max: 1e12 }),
    fc.nat(40).map((power) => 2 ** power),
    fc.nat(34).map((eighth) => Math.floor(2 ** ((eighth - 17) / 8) * 1e9)),
    fc.constantFrom(1000, 1001, 999_999, 1_000_000, 1_000_001, 999_999_999, 1e9, 1e9 + 1),
  );
  const label = fc.string({ unit: 'grapheme', maxLength: 4 });
  const bounds = fc
    .uniqueArray(fc.constantFrom(1e-6, 2e-6, 5e-6, 1e-3, 0.25, 0.5, 1, 2, 10), { maxLength: 6 })
    .map((all) => all.sort((a, b) => a - b));
  const plan = fc.record({
    counters: fc.array(fc.tuple(label, fc.maxSafeNat()), { maxLength: 8 }),
    // The text format has no -0.
    gauges: fc.array(
      fc.tuple(
        label,
        fc.double().map((x) => x + 0),
      ),
      { maxLength: 8 },
    ),
    durations: fc.array(fc.tuple(label, fc.array(duration, { maxLength: 40 })), { maxLength: 8 }),
    bounds,
  });
  // Use one renderer for all runs: its cache must not show series of an earlier store.
  const renderer = createProtobufRenderer();
  fc.assert(
    fc.property(plan, ({ counters, gauges, durations, bounds }) => {
      const store = new MetricStore();
      const recorded = new Map<string, number[]>();
      const counter = store.counter({ name: 'c_total', help: 'C.', divisor: 1e9, labels: ['x'] });
      for (const [x, value] of counters) counter.add(counter.slot([x]), value);
      const gauge = store.gauge({ name: 'g', help: 'G.', labels: ['x', 'y'] });
      for (const [x, value] of gauges) gauge.set(gauge.slot([x, x]), value);
      const histogram = store.histogram({ name: 'h_seconds', help: 'H.', labels: ['x'], bounds });
      for (const [x, all] of durations) {
        recorded.set(x, [...(recorded.get(x) ?? []), ...all]);
        for (const ns of all) histogram.record(histogram.slot([x]), ns);
      }
      const snapshots = [snapshotOf(store)];
      for (let round = 0; round < 2; round++) {
        const families = decodeFamilies(renderer.render(snapshots));
        assert.deepEqual(classicSamples(families), textSamples(snapshots));
        const shown = families.find(({ name }) => name === 'h_seconds')?.metric ?? [];
        for (const { label, histogram } of shown) {
          assert.ok(histogram);
          const ns = recorded.get(label?.[0].value ?? '') ?? [];
          let counted = histogram.zeroCount ?? 0;
          assert.equal(counted, ns.filter((value) => value === 0).length);
          for (const [index, count] of nativeBuckets(histogram)) {
            const within = ns.filter(
              (v) => v / 1e9 > upperBound(index - 1) && v / 1e9 <= upperBound(index) && v > 0,
            );
            assert.equal(count, within.length, `bucket ${index}`);
            assert.ok(count > 0, 'no bucket is empty');
            counted += count;
          }
          assert.equal(counted, ns.length);
          assert.equal(histogram.sampleCount, ns.length);
        }
      }
    }),
    { seed },
  );
});

test('any label value survives, and unpaired surrogates become U+FFFD as in the text format', (t) => {
  const seed = Date.now() & 0x7fffffff;
  t.diagnostic(`seed ${seed}`);
  const value = fc.string({
    unit: fc.oneof(
      fc.constantFrom('"', '\\', '\n', '\r', '\0', '{', '\ud800', '\udfff', '😀', 'ü'),
      fc.string({ unit: 'binary', maxLength: 40 }),
    ),
  });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 8 }), (values) => {
      const unique = [...new Set(values.map((v) => v.toWellFormed()))];
      const store = new MetricStore();
      const gauge = store.gauge({ name: 'g', help: values[0], labels: ['x', 'y'] });
      for (const v of values) gauge.set(gauge.slot([v, 'b']), 1);
      const [{ help, metric }] = decode([snapshotOf(store)]);
      assert.equal(help, values[0].toWellFormed());
      assert.deepEqual(new Set(metric.map(({ label }) => label?.[0].value)), new Set(unique));
    }),
    { seed },
  );
});

test('messages of every length: labels and helps around the lengths at which a length field grows', () => {
  for (const length of [0, 100, 115, 120, 125, 127, 128, 129, 255, 16_300, 16_383, 16_384, 2_097_152]) {
    const store = new MetricStore();
    const gauge = store.gauge({ name: 'g', help: '€'.repeat(length), labels: ['x'] });
    gauge.set(gauge.slot(['é'.repeat(length)]), 7);
    const histogram = store.histogram({ name: 'h', help: '', labels: ['x'], bounds: [1] });
    histogram.record(histogram.slot(['é'.repeat(length)]), 7);
    const [g, h] = decode([snapshotOf(store)]);
    assert.equal(g.help.length, length);
    for (const { metric } of [g, h]) assert.equal(metric[0].label?.[0].value.length, length);
    assert.equal(g.metric[0].gauge?.value, 7);
    assert.equal(h.metric[0].histogram?.sampleCount, 1);
  }
});

test('many series: the buffer grows in the middle of a family', () => {
  const store = new MetricStore();
  const labels = { labels: ['x'], maxSeries: 1e5 };
  const histogram = store.histogram({ name: 'h_seconds', help: '', bounds: [1e-6, 1], ...labels });
  const counter = store.counter({ name: 'c_total', help: '', ...labels });
  for (let i = 0; i < 3000; i++) {
    counter.add(counter.slot([String(i)]), i);
    for (let n = 0; n < 30; n++) histogram.record(histogram.slot([String(i)]), i * n * 1000);
  }
  const snapshots = [snapshotOf(store)];
  const renderer = createProtobufRenderer();
  const first = renderer.render(snapshots);
  assert.deepEqual(classicSamples(decodeFamilies(first)), textSamples(snapshots));
  assert.ok(renderer.render(snapshots).equals(first));
});

test('released series are skipped, shared families are one, and a repeated series shows its first value', () => {
  const stores = [1, 2].map((who) => {
    const store = new MetricStore();
    const gauge = store.gauge({ name: 'shared', help: 'Both.', labels: ['x'] });
    gauge.set(gauge.slot(['absent in the first']), who === 1 ? Number.NaN : 2);
    gauge.set(gauge.slot(['in both']), who);
    const histogram = store.histogram({
      name: 'shared_seconds',
      help: '',
      labels: ['x'],
      open: ['x'],
      bounds: [1],
    });
    histogram.record(histogram.slot(['gone']), 1);
    for (let i = 0; i < who; i++) histogram.record(histogram.slot(['in both']), 1);
    histogram.record(histogram.slot([`in ${who}`]), 1);
    histogram.release('x', 'gone');
    return store.snapshot();
  });
  const families = decode(stores);
  assert.equal(new Set(families.map(({ name }) => name)).size, families.length);
  assert.deepEqual(classicSamples(families), textSamples(stores));
});

test('stores that disagree about a family are an error, and the next scrape is whole again', () => {
  const renderer = createProtobufRenderer();
  const one = new MetricStore();
  one.gauge({ name: 'shared', help: '' }).slot([]);
  const other = new MetricStore();
  other.counter({ name: 'shared', help: '' }).slot([]);
  assert.throws(() => renderer.render([snapshotOf(one), snapshotOf(other)]), /shared/);
  const incremental = one.snapshot({ shared: { epoch: 0, count: 1 } });
  const labelled = new MetricStore();
  labelled.gauge({ name: 'g', help: '', labels: ['x'] }).slot(['a']);
  assert.throws(
    () => renderer.render([incremental, labelled.snapshot({ g: { epoch: 0, count: 1 } })]),
    /an incremental snapshot/,
  );
  assert.deepEqual(decodeFamilies(renderer.render([snapshotOf(one)])), decode([snapshotOf(one)]));
});

test('constant labels go on every series and win over a label of the same name', async () => {
  const store = new MetricStore();
  const noise = store.histogram({ name: 'noise_seconds', help: '', labels: ['source'], bounds: [1] });
  noise.record(noise.slot(['hw']), 1);
  const info = store.gauge({ name: 'source_info', help: '', labels: ['source'] });
  info.set(info.slot(['replay']), 1);
  const foreign = await createProcessMetrics()();
  const snapshots = [store.snapshot()];
  const body = createProtobufRenderer({ constantLabels: { source: 'replay' } }).render(snapshots, foreign);
  const samples = classicSamples(decodeFamilies(body));
  for (const { name, labels } of samples) assert.equal(labels.source, 'replay', name);
  const count = samples.find(({ name }) => name === 'noise_seconds_count');
  assert.deepEqual(count?.labels, { source: 'replay', exported_source: 'hw' });
});

test("families of the process: prom-client's histograms are classic, all else is equal to the text", () => {
  const le = (bound: number, value: number) => ({ suffix: '_bucket' as const, labels: {}, le: bound, value });
  const foreign: SampleFamily[] = [
    {
      name: 'cpu_seconds_total',
      help: 'CPU.',
      kind: 'counter',
      samples: [{ suffix: '', labels: {}, value: 1.5 }],
    },
    {
      name: 'gc_seconds',
      help: 'GC.',
      kind: 'histogram',
      samples: [
        ...[le(0.001, 1), le(1, 2), le(Number.POSITIVE_INFINITY, 3)],
        { suffix: '_sum', labels: {}, value: 7.5 },
        { suffix: '_count', labels: {}, value: 3 },
        ...[le(0.001, 0), le(1, 0), le(Number.POSITIVE_INFINITY, 5)].map((s) => ({
          ...s,
          labels: { kind: 'b' },
        })),
        { suffix: '_sum', labels: { kind: 'b' }, value: 50 },
        { suffix: '_count', labels: { kind: 'b' }, value: 5 },
      ],
    },
  ];
  const families = decode([], foreign);
  assert.deepEqual(classicSamples(families), textSamples([], foreign));
  assert.deepEqual(
    families.map(({ type }) => type),
    ['COUNTER', 'HISTOGRAM'],
  );
  for (const { histogram } of families[1].metric) assert.equal(histogram?.zeroThreshold, undefined);
});
