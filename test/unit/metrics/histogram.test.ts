import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HistogramFamily } from '../../../src/metrics/histogram.ts';
import { fineBucket, makeHistogramGrid, ZERO_BUCKET } from '../../../src/model/histogram-grid.ts';
import type { MetricSpec } from '../../../src/model/metric.ts';
import { classicCounts, exponentialCounts } from '../../../src/model/snapshot-views.ts';

const DECIMAL = [
  1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1,
  2, 5, 10,
];
const grid = makeHistogramGrid(DECIMAL);
const spec: MetricSpec = {
  name: 'test_seconds',
  help: '',
  kind: 'histogram',
  unit: 'seconds',
  labels: ['a'],
  open: ['a'],
  maxSeries: 3,
  divisor: 1e9,
  bounds: DECIMAL,
};
const anyNs = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  fc.integer({ min: 0, max: 2 ** 40 }),
  fc.integer({ min: 0, max: 2 ** 53 - 1 }),
  fc.constantFrom(
    ...DECIMAL.flatMap((s) => [Math.round(s * 1e9) - 1, Math.round(s * 1e9), Math.round(s * 1e9) + 1]),
  ),
);

function views(values: readonly number[]) {
  const family = new HistogramFamily(spec);
  const slot = family.slot(['x']);
  for (const ns of values) family.record(slot, ns);
  const data = family.snapshot(0).histogram;
  assert.ok(data);
  const classic = new Float64Array(DECIMAL.length);
  classicCounts(family.grid, data, slot, classic);
  const native = new Map<number, number>();
  const zeroes = exponentialCounts(family.grid, data, slot, (index, count) => native.set(index, count));
  return { classic, native, zeroes, data, slot };
}

describe('grid', () => {
  test('decimal bounds are whole nanoseconds, each the upper bound of a fine bucket', () => {
    assert.deepEqual(
      Array.from(grid.classicFine, (f) => grid.upperNs[f]),
      DECIMAL.map((s) => Math.round(s * 1e9)),
    );
  });

  test('a value is in the bucket whose bounds enclose it, upper bound inclusive', () => {
    fc.assert(
      fc.property(anyNs, (ns) => {
        const f = fineBucket(grid, ns);
        assert.ok(ns <= grid.upperNs[f], `${ns} above ${grid.upperNs[f]}`);
        if (f > 0) assert.ok(ns > grid.upperNs[f - 1], `${ns} not above ${grid.upperNs[f - 1]}`);
      }),
      { numRuns: 5000 },
    );
  });

  test('powers of two seconds end their bucket: 1 s is in bucket 0, a nanosecond more in bucket 1', () => {
    assert.equal(grid.exponentialIndex[fineBucket(grid, 1e9)], 0);
    assert.equal(grid.exponentialIndex[fineBucket(grid, 1e9 + 1)], 1);
    assert.equal(grid.exponentialIndex[fineBucket(grid, 2e9)], 8);
    assert.equal(grid.exponentialIndex[fineBucket(grid, 5e8)], -8);
    assert.equal(grid.exponentialIndex[fineBucket(grid, 0)], ZERO_BUCKET);
  });

  test('nonsense has a bucket too', () => {
    for (const ns of [-1, Number.NaN, 0.5, Number.POSITIVE_INFINITY, 1e300]) {
      const f = fineBucket(grid, ns);
      assert.ok(f >= 0 && f < grid.upperNs.length, String(ns));
    }
  });
});

describe('histogram family', () => {
  test('bounds closer than a nanosecond share a bucket, and each has its count', () => {
    const bounds = [1e-9, 1.6e-9, 1e-6];
    const spec = {
      name: 'x_seconds',
      help: '',
      kind: 'histogram',
      unit: 'seconds',
      labels: [],
      open: [],
    } as const;
    const family = new HistogramFamily({ ...spec, maxSeries: 1, divisor: 1e9, bounds });
    const slot = family.slot([]);
    for (let ns = 1; ns <= 2000; ns++) family.record(slot, ns);
    const { histogram } = family.snapshot(0);
    const counts = new Float64Array(bounds.length);
    if (histogram !== undefined) classicCounts(family.grid, histogram, slot, counts);
    assert.deepEqual([...counts], [1, 1, 1000]);
  });

  test('both views are exact', () => {
    fc.assert(
      fc.property(fc.array(anyNs, { maxLength: 200 }), (values) => {
        const { classic, native, zeroes, data, slot } = views(values);
        DECIMAL.forEach((bound, i) => {
          const ns = Math.round(bound * 1e9);
          assert.equal(classic[i], values.filter((v) => v <= ns).length, `le ${bound}`);
        });
        assert.equal(zeroes, values.filter((v) => v === 0).length);
        const total = [...native.values()].reduce((a, b) => a + b, zeroes);
        assert.equal(total, values.length);
        for (const [index, count] of native) {
          const inside = values.filter((v) => {
            const s = v / 1e9;
            return v > 0 && s > 2 ** ((index - 1) / 8) && s <= 2 ** (index / 8);
          });
          // Above 97 days everything is in the last bucket.
          if (index < 23 * 8) assert.equal(count, inside.length, `bucket ${index}`);
        }
        assert.equal(data.counts[slot], values.length);
        assert.equal(
          data.sumsNs[slot],
          values.reduce((a, b) => a + b, 0),
        );
      }),
    );
  });

  test('above max_series new values share "other"; existing ones keep their place', () => {
    const family = new HistogramFamily(spec);
    const slots = ['a', 'b', 'c', 'd', 'e', 'a'].map((value) => family.slot([value]));
    assert.equal(slots[3], slots[4]);
    assert.equal(slots[5], slots[0]);
    assert.deepEqual(family.table.labelsOf(slots[3]), ['other']);
    assert.equal(family.table.overflows, 2);
  });

  test('a released series starts again, and its place is free', () => {
    const family = new HistogramFamily(spec);
    const [a] = ['a', 'b', 'c'].map((value) => family.slot([value]));
    family.record(a, 1000);
    family.release('a', 'a');
    const epoch = family.table.epoch;
    const released = family.snapshot(0);
    assert.ok(Number.isNaN(released.histogram?.counts[a]));
    const d = family.slot(['d']);
    assert.equal(family.table.labelsOf(d)?.[0], 'd');
    assert.notEqual(family.table.epoch, epoch);
    assert.equal(family.snapshot(0).histogram?.counts[d], 0);
  });

  test('snapshots only send the label values of new series', () => {
    const family = new HistogramFamily(spec);
    family.slot(['a']);
    assert.deepEqual(family.snapshot(0).labelValues, ['a']);
    family.slot(['b']);
    const next = family.snapshot(1);
    assert.deepEqual([next.labelsFrom, next.labelValues, next.seriesCount], [1, ['b'], 2]);
  });

  test('a snapshot is a copy', () => {
    const family = new HistogramFamily(spec);
    const slot = family.slot(['a']);
    const before = family.snapshot(0);
    family.record(slot, 5000);
    assert.equal(before.histogram?.counts[slot], 0);
  });
});
