/**
 * Compares pushed points with a scrape of the same snapshots. The SDK encodes the points and protobufjs decodes them,
 * so the test compares what a backend receives.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HrTime } from '@opentelemetry/api';
import { JsonMetricsSerializer, ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import fc from 'fast-check';
import { createProtobufRenderer } from '../../../src/export/exposition/protobuf.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { createPointMaker, type PointMaker, type PointOptions } from '../../../src/export/otlp/points.ts';
import { createProcessMetrics } from '../../../src/export/process-metrics.ts';
import type { SampleFamily } from '../../../src/export/sample-family.ts';
import { createSnapshotReader } from '../../../src/metrics/snapshot-reader.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { MetricSnapshot } from '../../../src/model/metric.ts';
import { parseExposition } from '../../support/exposition.ts';
import { decodePushed, type Pushed, pointsOf } from '../../support/otlp.ts';
import { decodeFamilies, nativeBuckets } from '../../support/protobuf.ts';

const START: HrTime = [1_700_000_000, 0];
const NOW: HrTime = [1_700_000_060, 5_000_000];
const nanos = ([seconds, ns]: HrTime) => BigInt(seconds) * 1_000_000_000n + BigInt(ns);

function makerOf(options: Partial<PointOptions> = {}): PointMaker {
  return createPointMaker({
    histograms: 'explicit_bucket_histogram',
    constantLabels: {},
    start: START,
    ...options,
  });
}

function pushed(
  maker: PointMaker,
  snapshots: readonly MetricSnapshot[],
  { foreign = [], now = NOW, encoding = 'protobuf' as 'protobuf' | 'json' } = {} as {
    foreign?: readonly SampleFamily[];
    now?: HrTime;
    encoding?: 'protobuf' | 'json';
  },
): Pushed {
  const metrics = maker(snapshots, foreign, now);
  const scopeMetrics = [{ scope: { name: 'test' }, metrics }];
  const serializer = encoding === 'json' ? JsonMetricsSerializer : ProtobufMetricsSerializer;
  const body = serializer.serializeRequest({ resource: resourceFromAttributes({}), scopeMetrics });
  assert.ok(body);
  return decodePushed(body, encoding);
}

/** Values of the samples that a scrape would have for the pushed points, by `name{sorted labels}`. */
function samplesOf({ metrics }: Pushed): Map<string, number> {
  const samples = new Map<string, number>();
  const put = (name: string, labels: Record<string, string>, value: number | undefined) => {
    const key = identity(name, labels);
    assert.ok(!samples.has(key), `${key} comes twice`);
    assert.ok(value !== undefined);
    samples.set(key, value);
  };
  for (const { name, kind, points } of metrics) {
    for (const { attributes, value, sum, count = Number.NaN, bounds = [], counts = [] } of points) {
      if (kind === 'gauge') put(name, attributes, value);
      if (kind === 'sum') put(`${name}_total`, attributes, value);
      if (kind !== 'histogram') continue;
      assert.equal(counts.length, bounds.length + 1);
      let below = 0;
      for (const [i, le] of [...bounds, Number.POSITIVE_INFINITY].entries()) {
        below += counts[i];
        put(`${name}_bucket`, { ...attributes, le: String(le) }, below);
      }
      assert.equal(below, count);
      put(`${name}_sum`, attributes, sum);
      put(`${name}_count`, attributes, count);
    }
  }
  return samples;
}

function scraped(
  snapshots: readonly MetricSnapshot[],
  { constantLabels = {}, foreign = [] as readonly SampleFamily[] } = {},
): Map<string, number> {
  const text = createRenderer({ constantLabels }).render(snapshots, 'text', foreign).toString();
  return new Map(
    parseExposition(text).map(({ name, labels, value }) => {
      const number = (written: string) => Number(written.replace('Inf', 'Infinity'));
      const { le } = labels;
      return [
        identity(name, { ...labels, ...(le === undefined ? {} : { le: String(number(le)) }) }),
        number(value),
      ];
    }),
  );
}

function identity(name: string, labels: Record<string, string>): string {
  return `${name}${JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))}`;
}

function storeWithAll(): MetricStore {
  const store = new MetricStore();
  const bytes = store.counter({ name: 'io_bytes_total', help: 'Bytes.', unit: 'bytes', labels: ['device'] });
  bytes.add(bytes.slot(['sda']), 4096);
  bytes.slot(['s"d\\b\n']);
  const waits = store.counter({ name: 'wait_seconds_total', help: 'Waits.', unit: 'seconds', divisor: 1e9 });
  waits.add(waits.slot([]), 1_500_000_000);
  const up = store.gauge({ name: 'up', help: '', labels: ['probe'] });
  up.set(up.slot(['a']), 1);
  up.set(up.slot(['b']), 0);
  up.set(up.slot(['gone']), Number.NaN);
  const max = store.maxGauge({ name: 'max_seconds', help: '', divisor: 1e9, labels: ['cpu'], windowMs: 1e6 });
  max.slot(['0']);
  max.record(max.slot(['1']), 2500);
  const time = store.histogram({ name: 'time_seconds', help: '', labels: ['op'], bounds: [1e-6, 1e-3, 1] });
  for (const ns of [0, 999, 1000, 1001, 5e5, 1e9, 2e9]) time.record(time.slot(['read']), ns);
  time.slot(['write']);
  store.histogram({ name: 'never_seconds', help: '', labels: ['op'], bounds: [1] });
  return store;
}

for (const encoding of ['protobuf', 'json'] as const) {
  test(`sums, gauges and histograms are those of a scrape, in ${encoding}`, () => {
    const snapshots = [storeWithAll().snapshot()];
    const got = pushed(makerOf(), snapshots, { encoding });
    assert.deepEqual(samplesOf(got), scraped(snapshots));
    const kinds = Object.fromEntries(got.metrics.map(({ name, kind }) => [name, kind]));
    assert.deepEqual(kinds, {
      ftrace_exporter_series: 'gauge',
      io_bytes: 'sum',
      wait_seconds: 'sum',
      up: 'gauge',
      max_seconds: 'gauge',
      time_seconds: 'histogram',
    });
    for (const { kind, isMonotonic, isCumulative } of got.metrics) {
      assert.equal(isMonotonic, kind === 'sum');
      assert.equal(isCumulative, kind !== 'gauge');
    }
    assert.equal(got.metrics.find(({ name }) => name === 'io_bytes')?.description, 'Bytes.');
    for (const { points, kind } of got.metrics) {
      for (const { start, time } of points) {
        assert.equal(time, nanos(NOW));
        if (kind !== 'gauge') assert.equal(start, nanos(START));
      }
    }
  });
}

test('constant labels are on every series, and labels of the same name give way, as in a scrape', () => {
  const store = new MetricStore();
  const info = store.gauge({ name: 'info', help: '', labels: ['source', 'x'] });
  info.set(info.slot(['live', '1']), 1);
  info.set(info.slot(['replay', '2']), 1);
  const constantLabels = { source: 'replay' };
  const foreign: SampleFamily[] = [
    { name: 'f_total', help: '', kind: 'counter', samples: [{ suffix: '', labels: { a: 'b' }, value: 3 }] },
  ];
  const snapshots = [store.snapshot()];
  const got = pushed(makerOf({ constantLabels }), snapshots, { foreign });
  assert.deepEqual(samplesOf(got), scraped(snapshots, { constantLabels, foreign }));
});

test('families of several stores are one metric, and a series that several stores have takes its value from the first', () => {
  const stores = [0, 1].map((n) => {
    const store = new MetricStore({ countsSeries: false });
    const up = store.gauge({ name: 'up', help: '', labels: ['probe'] });
    up.set(up.slot(['both']), n);
    up.set(up.slot([`only${n}`]), 1);
    const time = store.histogram({ name: 'time_seconds', help: '', labels: ['at'], bounds: [1] });
    time.record(time.slot(['both']), 1e9 + n);
    time.record(time.slot([`only${n}`]), 5);
    return store;
  });
  const snapshots = stores.map((store) => store.snapshot());
  const got = pushed(makerOf(), snapshots);
  assert.deepEqual(samplesOf(got), scraped(snapshots));
  assert.equal(pointsOf(got, 'up').length, 3);
  const exponential = pushed(makerOf({ histograms: 'base2_exponential_bucket_histogram' }), snapshots);
  assert.equal(pointsOf(exponential, 'time_seconds').length, 3);
});

test('families of the process, and histograms of others, are those of a scrape', async () => {
  const sample = (suffix: '_bucket' | '_sum' | '_count', kind: string, value: number, le?: number) => {
    return { suffix, labels: { kind }, value, ...(le === undefined ? {} : { le }) };
  };
  const histogram: SampleFamily = {
    name: 'nodejs_gc_duration_seconds',
    help: 'Pauses.',
    kind: 'histogram',
    samples: ['minor', 'major'].flatMap((kind, i) => [
      sample('_bucket', kind, i, 0.001),
      sample('_bucket', kind, i + 2, 0.01),
      sample('_bucket', kind, i + 3, Number.POSITIVE_INFINITY),
      sample('_sum', kind, 0.5 + i),
      sample('_count', kind, i + 3),
    ]),
  };
  const foreign = [
    ...(await createProcessMetrics()()).filter(({ name }) => name !== histogram.name),
    histogram,
    { name: 'empty_total', help: '', kind: 'counter' as const, samples: [] },
  ];
  const got = pushed(makerOf(), [], { foreign });
  assert.ok(samplesOf(got).has('process_cpu_seconds_total[]'));
  assert.deepEqual(samplesOf(got), scraped([], { foreign }));
  assert.ok(!got.metrics.some(({ name }) => name === 'empty'));
});

test('buckets of any values: explicit ones as scraped, exponential ones as scraped natively', () => {
  const ns = fc.oneof(
    fc.integer({ min: 0, max: 3e9 }),
    fc.integer({ min: 0, max: 30 }).map((power) => 2 ** power),
    fc.constantFrom(0, 1000, 2000, 1e9, 5e12, 2 ** 53),
  );
  const series = fc.array(fc.array(ns, { maxLength: 40 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(series, (values) => {
      const store = new MetricStore({ countsSeries: false });
      const bounds = [1e-6, 2e-6, 5e-6, 0.001, 0.5, 1, 10];
      const time = store.histogram({ name: 'time_seconds', help: '', labels: ['s'], bounds });
      for (const [s, recorded] of values.entries()) {
        for (const one of recorded) time.record(time.slot([String(s)]), one);
        time.slot([String(s)]);
      }
      const snapshots = [store.snapshot()];
      assert.deepEqual(samplesOf(pushed(makerOf(), snapshots)), scraped(snapshots));

      const [family] = decodeFamilies(createProtobufRenderer().render(snapshots));
      for (const encoding of ['protobuf', 'json'] as const) {
        const got = pushed(makerOf({ histograms: 'base2_exponential_bucket_histogram' }), snapshots, {
          encoding,
        });
        const points = pointsOf(got, 'time_seconds');
        assert.equal(points.length, values.length);
        for (const [s, point] of points.entries()) {
          const native = family.metric[s].histogram;
          assert.ok(native && point.positive);
          assert.equal(point.scale, 3);
          assert.equal(point.count, native.sampleCount);
          assert.equal(point.sum, native.sampleSum);
          assert.equal(point.zeroCount, native.zeroCount);
          // Bucket i of OTLP has the upper bound of Prometheus' bucket i + 1.
          const { offset, counts } = point.positive;
          const buckets = counts.map((count, i): [number, number] => [offset + i + 1, count]);
          const nonEmpty = ([, count]: readonly [number, number]) => count > 0;
          assert.deepEqual(buckets.filter(nonEmpty), [...nativeBuckets(native)].filter(nonEmpty));
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('counts of weeks: beyond 32 bits', () => {
  const store = new MetricStore({ countsSeries: false });
  const time = store.histogram({ name: 'time_seconds', help: '', bounds: [1] });
  time.record(time.slot([]), 5);
  const snapshot = store.snapshot();
  const many = 2 ** 40 + 12345;
  const { histogram } = snapshot.families[0];
  assert.ok(histogram);
  histogram.counts[0] = many;
  histogram.blocks.forEach((count, i) => {
    if (count === 1) histogram.blocks[i] = many;
  });
  for (const encoding of ['protobuf', 'json'] as const) {
    const [explicit] = pointsOf(pushed(makerOf(), [snapshot], { encoding }), 'time_seconds');
    assert.deepEqual([explicit.count, explicit.counts], [many, [many, 0]]);
    const maker = makerOf({ histograms: 'base2_exponential_bucket_histogram' });
    const [exponential] = pointsOf(pushed(maker, [snapshot], { encoding }), 'time_seconds');
    assert.deepEqual([exponential.count, exponential.positive?.counts], [many, [many]]);
  }
});

test('a series counts since the program began; a new one, and one that fell, since the last push', () => {
  const reader = createSnapshotReader();
  const times: HrTime[] = [0, 60, 120, 180, 240].map((s) => [START[0] + 100 + s, 0]);
  const maker = makerOf();
  let store = new MetricStore({ countsSeries: false });
  const declare = () => {
    const counter = store.counter({ name: 'c_total', help: '', labels: ['l'] });
    const time = store.histogram({ name: 't_seconds', help: '', labels: ['l'], bounds: [1] });
    return { counter, time };
  };
  let { counter, time } = declare();
  const count = (label: string, n: number) => {
    counter.add(counter.slot([label]), n);
    for (let i = 0; i < n; i++) time.record(time.slot([label]), 5);
  };
  const push = (n: number) => {
    const full = reader.expand(store.snapshot(reader.known()));
    assert.ok(full);
    const got = pushed(maker, [full], { now: times[n] });
    const starts = (name: string) =>
      Object.fromEntries(pointsOf(got, name).map(({ attributes, start }) => [attributes.l, start]));
    assert.deepEqual(starts('c'), starts('t_seconds'));
    return starts('c');
  };

  count('a', 5);
  assert.deepEqual(push(0), { a: nanos(START) });
  count('b', 1);
  assert.deepEqual(push(1), { a: nanos(START), b: nanos(times[0]) });

  // A series ends and another gets its index. The other series keep their start, although the snapshot has a new epoch.
  counter.release('l', 'a');
  time.release('l', 'a');
  count('c', 9);
  assert.deepEqual(push(2), { b: nanos(times[0]), c: nanos(times[1]) });

  // A new capture thread begins with a new store.
  store = new MetricStore({ countsSeries: false });
  reader.reset();
  ({ counter, time } = declare());
  count('c', 3);
  assert.deepEqual(push(3), { c: nanos(times[2]) });
  count('c', 1);
  count('b', 1);
  assert.deepEqual(push(4), { b: nanos(times[3]), c: nanos(times[2]) });
});

test('a family with two kinds in two stores is an error, and so is an incremental snapshot', () => {
  const one = new MetricStore({ countsSeries: false });
  one.gauge({ name: 'x', help: '' }).slot([]);
  const other = new MetricStore({ countsSeries: false });
  other.counter({ name: 'x', help: '' }).slot([]);
  const maker = makerOf();
  assert.throws(
    () => maker([one.snapshot(), other.snapshot()], [], NOW),
    /x: two stores declare different kinds/,
  );
  const partial = one.snapshot({ x: { epoch: 0, count: 1 } });
  assert.throws(() => maker([partial], [], NOW), /x: an incremental snapshot was not expanded/);
});
