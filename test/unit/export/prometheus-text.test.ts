import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import type { SampleFamily } from '../../../src/export/sample-family.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { MetricSnapshot } from '../../../src/model/metric.ts';
import { parseExposition } from '../../support/exposition.ts';

/** A snapshot without the families that every store has about itself. */
function snapshotOf(store: MetricStore): MetricSnapshot {
  const families = store.snapshot().families.filter((f) => !f.spec.name.startsWith('ftrace_exporter_series'));
  return { families };
}

function sampleStore(): MetricStore {
  const store = new MetricStore();
  const bytes = store.counter({
    name: 'io_bytes_total',
    help: 'Bytes, "quoted"\\\nand more.',
    unit: 'bytes',
    labels: ['device', 'operation'],
  });
  bytes.add(bytes.slot(['sda', 'read']), 4096);
  bytes.slot(['sda', 'write']);
  const seconds = store.counter({
    name: 'wait_seconds_total',
    help: 'Waited.',
    unit: 'seconds',
    divisor: 1e9,
  });
  seconds.add(seconds.slot([]), 1_500_000_000);
  const max = store.maxGauge({
    name: 'max_seconds',
    help: 'Max.',
    unit: 'seconds',
    divisor: 1e9,
    labels: ['cpu'],
    windowMs: 1000,
  });
  max.slot(['0']);
  max.record(max.slot(['1']), 2500);
  store.gauge({ name: 'nothing_here', help: 'No series.', labels: ['cpu'] });
  const latency = store.histogram({
    name: 'latency_seconds',
    help: 'Latency.',
    labels: ['cpu'],
    bounds: [1e-6, 1e-3, 1, 10],
  });
  const slot = latency.slot(['0']);
  for (const ns of [1000, 1001, 1e6, 5e8, 2e10]) latency.record(slot, ns);
  return store;
}

const TEXT = `# HELP io_bytes_total Bytes, "quoted"\\\\\\nand more.
# TYPE io_bytes_total counter
io_bytes_total{device="sda",operation="read"} 4096
io_bytes_total{device="sda",operation="write"} 0
# HELP wait_seconds_total Waited.
# TYPE wait_seconds_total counter
wait_seconds_total 1.5
# HELP max_seconds Max.
# TYPE max_seconds gauge
max_seconds{cpu="1"} 0.0000025
# HELP latency_seconds Latency.
# TYPE latency_seconds histogram
latency_seconds_bucket{cpu="0",le="1e-06"} 1
latency_seconds_bucket{cpu="0",le="0.001"} 3
latency_seconds_bucket{cpu="0",le="1"} 4
latency_seconds_bucket{cpu="0",le="10"} 4
latency_seconds_bucket{cpu="0",le="+Inf"} 5
latency_seconds_sum{cpu="0"} 20.501002001
latency_seconds_count{cpu="0"} 5
`;

const OPENMETRICS = `# TYPE io_bytes counter
# UNIT io_bytes bytes
# HELP io_bytes Bytes, \\"quoted\\"\\\\\\nand more.
io_bytes_total{device="sda",operation="read"} 4096
io_bytes_total{device="sda",operation="write"} 0
# TYPE wait_seconds counter
# UNIT wait_seconds seconds
# HELP wait_seconds Waited.
wait_seconds_total 1.5
# TYPE max_seconds gauge
# UNIT max_seconds seconds
# HELP max_seconds Max.
max_seconds{cpu="1"} 0.0000025
# TYPE latency_seconds histogram
# UNIT latency_seconds seconds
# HELP latency_seconds Latency.
latency_seconds_bucket{cpu="0",le="1e-06"} 1
latency_seconds_bucket{cpu="0",le="0.001"} 3
latency_seconds_bucket{cpu="0",le="1.0"} 4
latency_seconds_bucket{cpu="0",le="10.0"} 4
latency_seconds_bucket{cpu="0",le="+Inf"} 5
latency_seconds_sum{cpu="0"} 20.501002001
latency_seconds_count{cpu="0"} 5
# EOF
`;

test('text 0.0.4 and OpenMetrics 1.0, to the letter', () => {
  const renderer = createRenderer();
  const snapshots = [snapshotOf(sampleStore())];
  // Each format has its own cache of series lines. The second round reads from the caches.
  for (let round = 0; round < 2; round++) {
    assert.equal(renderer.render(snapshots, 'text').toString(), TEXT);
    assert.equal(renderer.render(snapshots, 'openmetrics').toString(), OPENMETRICS);
  }
});

test('nothing to show is an empty body, or only # EOF', () => {
  const renderer = createRenderer();
  assert.equal(renderer.render([], 'text').toString(), '');
  assert.equal(renderer.render([{ families: [] }], 'openmetrics').toString(), '# EOF\n');
});

test('a unit that the name does not end in is left out', () => {
  const store = new MetricStore();
  const counter = store.counter({ name: 'odd_total', help: '', unit: 'seconds' });
  counter.add(counter.slot([]), 1);
  assert.doesNotMatch(
    createRenderer()
      .render([snapshotOf(store)], 'openmetrics')
      .toString(),
    /UNIT/,
  );
});

test('released series, values and histograms alike, are skipped', () => {
  const store = new MetricStore();
  const counter = store.counter({ name: 'c_total', help: '', labels: ['device'], open: ['device'] });
  const histogram = store.histogram({ name: 'h_seconds', help: '', labels: ['device'], bounds: [1] });
  for (const device of ['sda', 'sdb', 'sdc']) {
    counter.add(counter.slot([device]), 1);
    histogram.record(histogram.slot([device]), 5);
  }
  counter.release('device', 'sdb');
  histogram.release('device', 'sdb');
  const samples = parseExposition(
    createRenderer()
      .render([snapshotOf(store)], 'text')
      .toString(),
  );
  assert.deepEqual(new Set(samples.map(({ labels }) => labels.device)), new Set(['sda', 'sdc']));
  assert.equal(samples.length, 2 + 2 * 4);
});

test('families of several stores are one family', () => {
  const stores = ['a', 'b'].map((who) => {
    const store = new MetricStore();
    const gauge = store.gauge({ name: 'shared', help: 'Both.', labels: ['who'] });
    gauge.set(gauge.slot([who]), 1);
    return snapshotOf(store);
  });
  assert.equal(
    createRenderer().render(stores, 'text').toString(),
    '# HELP shared Both.\n# TYPE shared gauge\nshared{who="a"} 1\nshared{who="b"} 1\n',
  );
});

test('a series that two stores have is shown once: the first one', () => {
  const stores = [1, 2].map((who) => {
    const store = new MetricStore();
    const gauge = store.gauge({ name: 'shared', help: '', labels: ['x'] });
    gauge.set(gauge.slot(['absent in the first']), who === 1 ? Number.NaN : 2);
    gauge.set(gauge.slot(['in both']), who);
    const histogram = store.histogram({ name: 'shared_seconds', help: '', labels: ['x'], bounds: [1] });
    for (let i = 0; i < who; i++) histogram.record(histogram.slot(['in both']), 1);
    histogram.record(histogram.slot([`in ${who}`]), 1);
    return store.snapshot();
  });
  const samples = parseExposition(createRenderer().render(stores, 'text').toString());
  const series = samples.map(({ name, labels }) => JSON.stringify([name, labels]));
  assert.equal(new Set(series).size, series.length);
  const shown = (name: string) =>
    samples.filter((s) => s.name === name).map(({ labels, value }) => [labels.x, value]);
  assert.deepEqual(shown('shared'), [
    ['in both', '1'],
    ['absent in the first', '2'],
  ]);
  assert.deepEqual(shown('shared_seconds_count'), [
    ['in both', '1'],
    ['in 1', '1'],
    ['in 2', '1'],
  ]);
  // The metric about series must count the families of both stores.
  const metrics = samples
    .filter((s) => s.name === 'ftrace_exporter_series')
    .map(({ labels }) => labels.metric);
  assert.deepEqual(metrics, ['shared', 'shared_seconds']);
});

test('stores that disagree about a family are an error, and the next scrape is whole again', () => {
  const renderer = createRenderer();
  const one = new MetricStore();
  one.gauge({ name: 'shared', help: '' }).slot([]);
  const other = new MetricStore();
  other.counter({ name: 'shared', help: '' }).slot([]);
  assert.throws(() => renderer.render([snapshotOf(one), snapshotOf(other)], 'text'), /shared/);
  assert.equal(renderer.render([snapshotOf(sampleStore())], 'text').toString(), TEXT);
});

test('constant labels go on every series and win over a label of the same name', () => {
  const store = sampleStore();
  const noise = store.histogram({ name: 'noise_seconds', help: '', labels: ['source'], bounds: [1] });
  noise.record(noise.slot(['hw']), 1);
  const info = store.gauge({ name: 'source_info', help: '', labels: ['source'] });
  info.set(info.slot(['replay']), 1);
  const foreign: SampleFamily = {
    name: 'gc_seconds',
    help: '',
    kind: 'histogram',
    samples: [{ suffix: '_bucket', labels: {}, le: 1, value: 3 }],
  };
  const renderer = createRenderer({ constantLabels: { source: 'replay' } });
  const text = renderer.render([snapshotOf(store)], 'text', [foreign]).toString();
  const samples = parseExposition(text);
  assert.ok(samples.length > 15);
  for (const { labels, name } of samples) assert.equal(labels.source, 'replay', name);
  assert.match(text, /^noise_seconds_count\{source="replay",exported_source="hw"\} 1$/m);
  assert.match(text, /^source_info\{source="replay"\} 1$/m);
  assert.match(text, /^gc_seconds_bucket\{source="replay",le="1"\} 3$/m);
});

test('infinite gauges have their sign', () => {
  const store = new MetricStore();
  const gauge = store.gauge({ name: 'g', help: '', labels: ['x'] });
  gauge.set(gauge.slot(['a']), Number.POSITIVE_INFINITY);
  gauge.set(gauge.slot(['b']), Number.NEGATIVE_INFINITY);
  assert.match(
    createRenderer()
      .render([snapshotOf(store)], 'text')
      .toString(),
    /g\{x="a"\} \+Inf\ng\{x="b"\} -Inf\n$/,
  );
});

test('an incremental snapshot is refused rather than shown with the wrong labels', () => {
  const store = new MetricStore();
  store.gauge({ name: 'g', help: '', labels: ['x'] }).slot(['a']);
  const incremental = store.snapshot({ g: { epoch: 0, count: 1 } });
  assert.throws(() => createRenderer().render([incremental], 'text'), /g: an incremental snapshot/);
});

test('any label value survives, in both formats, and the body is UTF-8', (t) => {
  const seed = Date.now() & 0x7fffffff;
  t.diagnostic(`seed ${seed}`);
  const value = fc.string({
    unit: fc.oneof(
      fc.constantFrom('"', '\\', '\n', '\r', '\0', '{', '}', ',', ' '),
      fc.string({ unit: 'binary', maxLength: 2 }),
    ),
  });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 8 }),
      fc.constantFrom('text', 'openmetrics'),
      (values, format) => {
        const unique = [...new Set(values.map((v) => v.toWellFormed()))];
        const store = new MetricStore();
        const gauge = store.gauge({ name: 'g', help: values[0], labels: ['x', 'y'] });
        for (const [i, v] of unique.entries()) gauge.set(gauge.slot([v, String(i)]), i);
        const body = createRenderer().render([snapshotOf(store)], format as 'text' | 'openmetrics');
        const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
        assert.deepEqual(
          parseExposition(text),
          unique.map((x, i) => ({ name: 'g', labels: { x, y: String(i) }, value: String(i) })),
        );
      },
    ),
    { seed },
  );
});

test('lone surrogates become U+FFFD', () => {
  const store = new MetricStore();
  const gauge = store.gauge({ name: 'g', help: '\udfff', labels: ['x'] });
  gauge.set(gauge.slot(['a\ud800b']), 1);
  const body = createRenderer()
    .render([snapshotOf(store)], 'text')
    .toString();
  assert.equal(body, '# HELP g \ufffd\n# TYPE g gauge\ng{x="a\ufffdb"} 1\n');
});

test('bodies of many pieces are whole', () => {
  const store = new MetricStore();
  const counter = store.counter({ name: 'many_total', help: 'ü', labels: ['i'] });
  const histogram = store.histogram({ name: 'many_seconds', help: '', labels: ['i'], bounds: [1e-6, 1] });
  for (let i = 0; i < 5000; i++) {
    counter.add(counter.slot([`€${i}`]), i);
    histogram.record(histogram.slot([`€${i}`]), i);
  }
  const samples = parseExposition(
    createRenderer()
      .render([snapshotOf(store)], 'text')
      .toString(),
  );
  assert.equal(samples.length, 5000 * 6);
  for (let i = 0; i < 5000; i++) {
    assert.deepEqual(samples[i], { name: 'many_total', labels: { i: `€${i}` }, value: String(i) });
    assert.equal(samples[5000 + i * 5 + 4].labels.i, `€${i}`);
  }
});
