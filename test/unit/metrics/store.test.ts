import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { FamilySnapshot } from '../../../src/model/metric.ts';

function series(family: FamilySnapshot | undefined): Record<string, number> {
  assert.ok(family);
  const width = family.spec.labels.length;
  return Object.fromEntries(
    Array.from(family.values, (value, s) => [
      family.labelValues.slice(s * width, (s + 1) * width).join('/'),
      value,
    ]),
  );
}
const find = (store: MetricStore, name: string) =>
  store.snapshot().families.find((f) => f.spec.name === name);

test('every reader sees a maximum for the whole window; then it is absent', () => {
  const store = new MetricStore();
  const max = store.maxGauge({ name: 'm_seconds', help: '', labels: ['cpu'], divisor: 1e9, windowMs: 8000 });
  const slot = max.slot(['0']);
  store.rotate(0);
  max.record(slot, 7);
  max.record(slot, 3);
  for (const now of [100, 5000, 7999]) {
    store.rotate(now);
    assert.deepEqual(series(find(store, 'm_seconds')), { 0: 7 });
  }
  max.record(slot, 5);
  store.rotate(9500);
  assert.deepEqual(series(find(store, 'm_seconds')), { 0: 5 });
  store.rotate(1e9);
  assert.deepEqual(series(find(store, 'm_seconds')), { 0: Number.NaN });
});

test('series and overflows are reported by metric', () => {
  const store = new MetricStore();
  const counter = store.counter({
    name: 'c_total',
    help: '',
    labels: ['x', 'cpu'],
    open: ['x'],
    maxSeries: 2,
  });
  for (const x of ['a', 'b', 'c', 'd']) for (const cpu of ['0', '1']) counter.add(counter.slot([x, cpu]), 1);
  assert.deepEqual(series(find(store, 'c_total')), {
    'a/0': 1,
    'a/1': 1,
    'b/0': 1,
    'b/1': 1,
    'other/0': 2,
    'other/1': 2,
  });
  assert.equal(series(find(store, 'ftrace_exporter_series')).c_total, 6);
  assert.equal(series(find(store, 'ftrace_exporter_series_overflow_total')).c_total, 4);
});

test('a label value that is itself "other" takes no place from others', () => {
  const store = new MetricStore();
  const counter = store.counter({ name: 'c_total', help: '', labels: ['x'], open: ['x'], maxSeries: 1 });
  counter.slot(['other']);
  counter.slot(['a']);
  assert.equal(counter.table.overflows, 0);
});

test('one name cannot have two kinds', () => {
  const store = new MetricStore();
  store.counter({ name: 'c_total', help: '' });
  assert.throws(() => store.gauge({ name: 'c_total', help: '' }), /declared twice/);
});
