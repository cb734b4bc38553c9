import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createProtobufRenderer } from '../../../src/export/exposition/protobuf.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { createSnapshotReader } from '../../../src/metrics/snapshot-reader.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { MetricSnapshot } from '../../../src/model/metric.ts';

/** Copies a snapshot as a message between threads does, so that it shares nothing with the store. */
const crossed = (snapshot: MetricSnapshot) => structuredClone(snapshot);

function render(snapshot: MetricSnapshot | undefined): string {
  assert.ok(snapshot);
  return createRenderer().render([snapshot], 'text').toString();
}

test('label values are sent once, and the array stays the same object while series only come', () => {
  const store = new MetricStore();
  const counter = store.counter({ name: 'c_total', help: '', labels: ['x'] });
  const reader = createSnapshotReader();
  counter.slot(['a']);
  const first = reader.expand(crossed(store.snapshot(reader.known())));
  counter.slot(['b']);
  const sent = store.snapshot(reader.known());
  const family = sent.families.find((f) => f.spec.name === 'c_total');
  assert.deepEqual(family?.labelValues, ['b']);
  const second = reader.expand(crossed(sent));
  assert.equal(render(second), render(store.snapshot()));
  const arrays = [first, second].map((s) => s?.families.find((f) => f.spec.name === 'c_total')?.labelValues);
  assert.equal(arrays[0], arrays[1]);
});

test('incremental snapshots show what full ones show, whatever happens in between', (t) => {
  const seed = Date.now() & 0x7fffffff;
  t.diagnostic(`seed ${seed}`);
  const device = fc.constantFrom('sda', 'sdb', 'sdc', 'sdd', 'sde', 'sdf', 'sdg');
  const step = fc.oneof(
    fc.record({ what: fc.constant('add' as const), device }),
    fc.record({ what: fc.constant('release' as const), device }),
    fc.record({ what: fc.constant('scrape' as const), device }),
    fc.record({ what: fc.constant('restart' as const), device }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const declare = () => {
        const store = new MetricStore();
        const options = { help: '', labels: ['device', 'cpu'], open: ['device'], maxSeries: 5 };
        return {
          store,
          counter: store.counter({ name: 'c_total', ...options }),
          histogram: store.histogram({ name: 'h_seconds', bounds: [1e-6, 1], ...options }),
        };
      };
      let { store, counter, histogram } = declare();
      const reader = createSnapshotReader();
      // Use one renderer for all steps: its caches must not show series that the reader has dropped.
      const renderer = createRenderer();
      const protobuf = createProtobufRenderer();
      for (const { what, device } of [...steps, { what: 'scrape', device: '' }]) {
        if (what === 'add') {
          counter.add(counter.slot([device, '0']), 1);
          histogram.record(histogram.slot([device, '0']), 1500);
        } else if (what === 'release') {
          counter.release('device', device);
          histogram.release('device', device);
        } else if (what === 'restart') {
          ({ store, counter, histogram } = declare());
          reader.reset();
        } else {
          const expanded = reader.expand(crossed(store.snapshot(reader.known())));
          assert.ok(expanded);
          for (const format of ['text', 'openmetrics'] as const) {
            const incremental = renderer.render([expanded], format).toString();
            assert.equal(incremental, createRenderer().render([store.snapshot()], format).toString());
          }
          const whole = createProtobufRenderer().render([store.snapshot()]);
          assert.ok(protobuf.render([expanded]).equals(whole));
        }
      }
    }),
    { seed },
  );
});

test('a new epoch replaces the labels', () => {
  const store = new MetricStore();
  const gauge = store.gauge({ name: 'g', help: '', labels: ['x'] });
  gauge.set(gauge.slot(['old']), 1);
  const reader = createSnapshotReader();
  const renderer = createRenderer();
  const scrape = () => {
    const expanded = reader.expand(crossed(store.snapshot(reader.known())));
    assert.ok(expanded);
    return renderer.render([expanded], 'text').toString();
  };
  assert.match(scrape(), /g\{x="old"\} 1/);
  gauge.release('x', 'old');
  gauge.set(gauge.slot(['new']), 2);
  assert.match(scrape(), /g\{x="new"\} 2/);
  assert.doesNotMatch(scrape(), /old/);
});

test('two concurrent scrapes, answered in order', () => {
  const store = new MetricStore();
  const gauge = store.gauge({ name: 'g', help: '', labels: ['x'] });
  gauge.slot(['a']);
  const reader = createSnapshotReader();
  reader.expand(crossed(store.snapshot(reader.known())));
  gauge.slot(['b']);
  const held = reader.known();
  const first = crossed(store.snapshot(held));
  gauge.slot(['c']);
  const second = crossed(store.snapshot(held));
  assert.match(render(reader.expand(first)), /x="b"/);
  assert.equal(render(reader.expand(second)), render(store.snapshot()));
});

test('a snapshot that does not follow the last one is refused, and asking again brings everything', () => {
  const store = new MetricStore();
  const gauge = store.gauge({ name: 'g', help: '', labels: ['x'] });
  for (const x of ['a', 'b', 'c']) gauge.slot([x]);
  const reader = createSnapshotReader();
  assert.equal(reader.expand(crossed(store.snapshot({ g: { epoch: 0, count: 2 } }))), undefined);
  assert.deepEqual(reader.known(), {});
  assert.equal(render(reader.expand(crossed(store.snapshot(reader.known())))), render(store.snapshot()));
});

test('another store in the same epoch, sent in full, does not inherit labels', () => {
  const [one, other] = ['a', 'b'].map((x) => {
    const store = new MetricStore();
    store.gauge({ name: 'g', help: '', labels: ['x'] }).slot([x]);
    return store;
  });
  const reader = createSnapshotReader();
  reader.expand(crossed(one.snapshot()));
  assert.equal(render(reader.expand(crossed(other.snapshot()))), render(other.snapshot()));
});

test('an answer that comes after a younger one removes nothing', () => {
  const store = new MetricStore();
  const gauge = store.gauge({ name: 'g', help: '', labels: ['x'] });
  gauge.slot(['a']);
  const older = crossed(store.snapshot());
  gauge.slot(['b']);
  const younger = crossed(store.snapshot());
  const reader = createSnapshotReader();
  reader.expand(younger);
  assert.doesNotMatch(render(reader.expand(older)), /x="b"/);
  gauge.slot(['c']);
  assert.equal(render(reader.expand(crossed(store.snapshot(reader.known())))), render(store.snapshot()));
});

test('an answer from before the places changed, or with a gap before it, is refused', () => {
  const store = new MetricStore();
  const gauge = store.gauge({ name: 'g', help: '', labels: ['x'] });
  for (const x of ['a', 'b', 'c']) gauge.slot([x]);
  const whole = crossed(store.snapshot());
  const tail = crossed(store.snapshot({ g: { epoch: 0, count: 2 } }));
  const afterChange = createSnapshotReader();
  gauge.release('x', 'a');
  afterChange.expand(crossed(store.snapshot()));
  assert.equal(afterChange.expand(tail), undefined);
  const withGap = createSnapshotReader();
  const family = whole.families.find((f) => f.spec.name === 'g');
  assert.ok(family);
  const one = { ...family, seriesCount: 1, labelValues: ['a'], values: family.values.slice(0, 1) };
  withGap.expand({ families: [one] });
  assert.equal(withGap.expand(tail), undefined);
});

test('the same series with other buckets, after a restart with another config', () => {
  const reader = createSnapshotReader();
  const renderer = createRenderer();
  for (const bounds of [[1], [2, 3]]) {
    const store = new MetricStore();
    const histogram = store.histogram({ name: 'h_seconds', help: '', labels: ['x'], bounds });
    histogram.record(histogram.slot(['a']), 1);
    const expanded = reader.expand(crossed(store.snapshot()));
    assert.ok(expanded);
    assert.equal(renderer.render([expanded], 'text').toString(), render(store.snapshot()));
  }
});
