/** The history must contain exactly the differences between snapshots, show gaps, and keep its limit of memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeHistory } from '../../../src/history/history.ts';
import { historyIndex, liveColumn, queryHistory } from '../../../src/history/query.ts';
import { historyOfRecording, makeHistoryRecorder } from '../../../src/history/recorded.ts';
import { startSampler } from '../../../src/history/sampler.ts';
import { ByteReader, ByteWriter } from '../../../src/history/varint.ts';
import { createSnapshotReader } from '../../../src/metrics/snapshot-reader.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { exponentialCounts } from '../../../src/model/snapshot-views.ts';
import { CPUS } from '../../support/large-node.ts';

const CONFIG = { fineMs: 300_000, coarseMs: 3_600_000 };
const WHOLE = {
  by: [],
  where: [],
  sinceMs: undefined,
  untilMs: undefined,
  limit: 20,
  fold: false,
} as const;

/** A store with a histogram by device and a counter, read as the main thread reads the capture thread's store. */
function makeSource() {
  const store = new MetricStore();
  const reader = createSnapshotReader();
  const durations = store.histogram({
    name: 'ftrace_test_seconds',
    help: 'Test.',
    labels: ['device', 'operation'],
    open: ['device'],
    bounds: [1e-6, 1e-3],
  });
  const bytes = store.counter({ name: 'ftrace_test_bytes_total', help: 'Test.', labels: ['device'] });
  return {
    store,
    durations,
    record: (device: string, ns: number) => durations.record(durations.slot([device, 'read']), ns),
    add: (device: string, amount: number) => bytes.add(bytes.slot([device]), amount),
    snapshots: () => {
      const full = reader.expand(structuredClone(store.snapshot(reader.known())));
      assert.ok(full);
      return [full];
    },
  };
}

function ask(history: ReturnType<typeof makeHistory>, metric: string, how: object = {}) {
  const family = history.catalogue.find(metric);
  assert.ok(family);
  return queryHistory({ ...WHOLE, family, ring: history.rings[0], ...how });
}

test('numbers of up to 53 bits survive', () => {
  fc.assert(
    fc.property(fc.array(fc.maxSafeNat()), (numbers) => {
      const writer = new ByteWriter();
      for (const number of numbers) writer.number(number);
      const reader = new ByteReader(writer.view().slice());
      assert.deepEqual(
        numbers.map(() => reader.number()),
        numbers,
      );
      assert.equal(reader.at, reader.end);
    }),
  );
});

test('a histogram of another unit has its own buckets and sum', () => {
  const store = new MetricStore();
  const sizes = store.histogram({ name: 'sizes_pages', help: '', unit: 'pages', divisor: 1, bounds: [3] });
  const history = makeHistory(CONFIG);
  history.take([store.snapshot()], 1000, true);
  for (const pages of [1, 3, 4, 4]) sizes.record(sizes.slot([]), pages);
  history.take([store.snapshot()], 2000, true);
  const [{ sum, buckets }] = ask(history, 'sizes_pages').series;
  assert.deepEqual(sum, [12]);
  // The values 1, 3 and 4 are in the buckets with the bounds 2^(0/8), 2^(13/8) and 2^(16/8).
  assert.deepEqual(buckets, [[0, 1, 13, 1, 16, 2]]);
  const live = liveColumn(history.rings[0].columns[0], history.catalogue.families());
  assert.deepEqual(live.metrics.sizes_pages, { count: 4, sum: 12, buckets: [0, 1, 13, 1, 16, 2] });
});

test('each column holds what changed within it, by label, and the sum of all is the total', () => {
  const history = makeHistory(CONFIG);
  const source = makeSource();
  source.record('sda', 5_000_000);
  history.take(source.snapshots(), 1000, true);
  source.record('sda', 7000);
  source.record('sda', 7000);
  source.record('sdb', 0);
  source.add('sda', 4096);
  history.take(source.snapshots(), 2000, true);
  history.take(source.snapshots(), 3000, true);
  source.add('sdb', 2 ** 40);
  history.take(source.snapshots(), 4000, true);

  const index = Math.ceil(Math.log2(7000 / 1e9) * 8);
  const all = ask(history, 'ftrace_test_seconds');
  assert.deepEqual(all.times, [2000, 3000, 4000]);
  assert.deepEqual(all.seconds, [1, 1, 1]);
  assert.deepEqual(all.series, [
    { labels: {}, count: [3, 0, 0], sum: [14_000 / 1e9, 0, 0], buckets: [[-32768, 1, index, 2], [], []] },
  ]);
  const byDevice = ask(history, 'ftrace_test_seconds', { by: ['device'], fold: true });
  assert.deepEqual(byDevice.times, [4000]);
  assert.deepEqual(byDevice.seconds, [3]);
  assert.deepEqual(
    byDevice.series.map(({ labels, count }) => [labels, count]),
    [
      [{ device: 'sda' }, [2]],
      [{ device: 'sdb' }, [1]],
    ],
  );
  const bytes = ask(history, 'ftrace_test_bytes_total', { by: ['device'], limit: 1 });
  assert.deepEqual(bytes.series, [{ labels: { device: 'sdb' }, value: [0, 0, 2 ** 40] }]);
  assert.deepEqual(bytes.rest, { groups: 1, value: [4096, 0, 0] });
  const later = ask(history, 'ftrace_test_bytes_total', { sinceMs: 3000, where: [['device', 'sdb']] });
  assert.deepEqual([later.times, later.series], [[4000], [{ labels: {}, value: [2 ** 40] }]]);
  const live = liveColumn(history.rings[0].columns[0], history.catalogue.families());
  assert.deepEqual(live.metrics, {
    ftrace_test_seconds: { count: 3, sum: 14_000 / 1e9, buckets: [-32768, 1, index, 2] },
    ftrace_test_bytes_total: { value: 4096 },
  });
});

test('the columns of any course of events add up to the exponential buckets of the last scrape', () => {
  const event = fc.record({ device: fc.constantFrom('a', 'b', 'c'), ns: fc.nat(1e10) });
  fc.assert(
    fc.property(fc.array(fc.array(event, { maxLength: 5 }), { minLength: 1, maxLength: 8 }), (seconds) => {
      const history = makeHistory(CONFIG);
      const source = makeSource();
      history.take(source.snapshots(), 1000, true);
      seconds.forEach((events, i) => {
        for (const { device, ns } of events) source.record(device, ns);
        history.take(source.snapshots(), 2000 + i * 1000, true);
      });
      const [{ families }] = source.snapshots();
      const family = families.find(({ spec }) => spec.name === 'ftrace_test_seconds');
      const expected = new Map<number, number>();
      for (let s = 0; s < (family?.seriesCount ?? 0); s++) {
        assert.ok(family?.histogram);
        const count = (index: number, n: number) => expected.set(index, (expected.get(index) ?? 0) + n);
        const zeros = exponentialCounts(source.durations.grid, family.histogram, s, count);
        if (zeros > 0) count(-32768, zeros);
      }
      const { series } = ask(history, 'ftrace_test_seconds', { fold: true });
      const buckets = series[0]?.buckets?.[0] ?? [];
      const actual = new Map<number, number>();
      for (let i = 0; i < buckets.length; i += 2) actual.set(buckets[i], buckets[i + 1]);
      assert.deepEqual(actual, expected);
    }),
  );
});

test('a missed snapshot and counters that begin again are gaps, not zeros and not jumps', () => {
  const history = makeHistory(CONFIG);
  const source = makeSource();
  history.take(source.snapshots(), 1000, true);
  source.add('sda', 1);
  history.take(source.snapshots(), 2000, true);
  history.miss(3000);
  source.add('sda', 100);
  history.take(source.snapshots(), 4000, true);
  source.add('sda', 2);
  history.take(source.snapshots(), 5000, false);
  const restarted = makeSource();
  restarted.add('sda', 5);
  history.take(restarted.snapshots(), 6000, true);
  restarted.add('sda', 3);
  history.take(restarted.snapshots(), 7000, true);
  const { series, seconds, not_ready } = ask(history, 'ftrace_test_bytes_total');
  assert.deepEqual(series[0].value, [1, null, null, 2, null, 3]);
  assert.deepEqual(seconds, [1, 0, 0, 1, 0, 1]);
  assert.deepEqual(not_ready, [1, 3]);
});

test('a slot that another series takes over continues neither', () => {
  const history = makeHistory(CONFIG);
  const source = makeSource();
  source.record('sda', 1000);
  source.record('sda', 1000);
  history.take(source.snapshots(), 1000, true);
  source.durations.release('device', 'sda');
  source.record('sdb', 1000);
  source.record('sdb', 1000);
  source.record('sdb', 1000);
  history.take(source.snapshots(), 2000, true);
  const { series } = ask(history, 'ftrace_test_seconds', { by: ['device'] });
  assert.deepEqual(
    series.map(({ labels, count }) => [labels.device, count]),
    [['sdb', [3]]],
  );
});

test('ten seconds become one coarse column; one with a gap in it is a gap', () => {
  const history = makeHistory(CONFIG);
  const source = makeSource();
  for (let second = 0; second <= 30; second++) {
    source.add('sda', 1);
    if (second === 15) history.miss(1000 * (second + 1));
    else history.take(source.snapshots(), 1000 * (second + 1), second !== 25);
  }
  const coarse = ask(history, 'ftrace_test_bytes_total', { ring: history.rings[1] });
  assert.deepEqual(coarse.times, [11_000, 21_000, 31_000]);
  assert.deepEqual(coarse.series[0].value, [10, null, 10]);
  assert.deepEqual(coarse.not_ready, [2]);
});

test('columns stay within their time, and the clock may be set back', () => {
  const history = makeHistory({ fineMs: 10_000, coarseMs: 60_000 });
  const source = makeSource();
  for (let second = 1; second <= 100; second++) history.take(source.snapshots(), 1000 * second, true);
  const [fine, coarse] = historyIndex(history).resolutions;
  assert.deepEqual([fine.columns, fine.from, fine.to], [10, 90_000, 100_000]);
  assert.equal(coarse.columns, 6);
  history.take(source.snapshots(), 50_000, true);
  assert.deepEqual(
    history.rings[0].columns.map(({ endMs }) => endMs),
    [50_000],
  );
});

test('if the clock is set back, a gap follows, and both resolutions continue at once', () => {
  for (const setBackMs of [0, 3000, 3_600_000]) {
    const history = makeHistory(CONFIG);
    const source = makeSource();
    let now = 1_700_000_000_000;
    const step = () => {
      source.add('sda', 1);
      history.take(source.snapshots(), now, true);
      now += 1000;
    };
    for (let second = 0; second <= 25; second++) step();
    now -= 1000 + setBackMs;
    for (let second = 0; second <= 20; second++) step();
    const fine = ask(history, 'ftrace_test_bytes_total');
    assert.deepEqual(fine.seconds, [0, ...Array(20).fill(1)]);
    assert.deepEqual(fine.series[0].value, [null, ...Array(20).fill(1)]);
    const coarse = ask(history, 'ftrace_test_bytes_total', { ring: history.rings[1] });
    assert.deepEqual(coarse.seconds.slice(-3), [0, 10, 10]);
    assert.deepEqual(coarse.series[0].value?.slice(-3), [null, 10, 10]);
    assert.equal(coarse.times.at(-1), now - 1000);
    for (const { from, to } of historyIndex(history).resolutions) assert.ok(from! < to!, `${from} ${to}`);
  }
});

test('5 minutes and 1 hour of 64 busy CPUs and 300 busy syscalls take less than 14 MiB', () => {
  const history = makeHistory(CONFIG);
  const store = new MetricStore();
  const calls = store.histogram({ name: 'calls_seconds', help: '', labels: ['syscall'], bounds: [1e-3] });
  const perCpu = Array.from({ length: 15 }, (_, i) =>
    store.counter({ name: `cpu${i}_total`, help: '', labels: ['cpu'] }),
  );
  let seed = 1;
  const random = () => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed / 0x7fffffff;
  };
  for (let second = 0; second < 700; second++) {
    for (let call = 0; call < 300; call++)
      for (let i = 0; i < 20; i++) calls.record(calls.slot([`call${call}`]), 1000 * 2 ** (10 * random()));
    for (const family of perCpu)
      for (const cpu of CPUS) family.add(family.slot([String(cpu)]), Math.floor(1e8 * random()));
    history.take([store.snapshot()], 1_700_000_000_000 + second * 1000, true);
  }
  let bytes = 0;
  for (const { columns } of history.rings) for (const column of columns) bytes += column.bytes?.length ?? 0;
  assert.ok(bytes < 14 << 20, `${bytes}`);
  // The memory is too small for all columns, so only the newest are left.
  assert.ok(history.rings[0].columns.length > 60);
  assert.equal(history.rings[0].columns.at(-1)?.endMs, 1_700_000_699_000);
});

test('a recording of any length keeps every count in at most 600 columns of one width', () => {
  const gaps = fc.array(fc.oneof(fc.nat(2e6), fc.nat(1e9), fc.nat(3e11)), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(gaps, (waits) => {
      const source = makeSource();
      const recorder = makeHistoryRecorder();
      let at = 5e12;
      const times: number[] = [];
      for (const wait of waits) {
        if (at >= recorder.nextNs) recorder.cut(at, () => source.store.snapshot());
        source.add('sda', 1);
        times.push(at - 5e12);
        at += wait;
      }
      const data = historyOfRecording(structuredClone(recorder.end(() => source.store.snapshot())));
      const family = data.catalogue.find('ftrace_test_bytes_total');
      assert.ok(family);
      const [ring] = data.rings;
      assert.ok(ring.columns.length <= 600);
      const { series } = queryHistory({ ...WHOLE, family, ring });
      const expected = ring.columns.map(({ endMs, spanMs }) => {
        const within = (ns: number) => ns >= (endMs - spanMs) * 1e6 && ns < endMs * 1e6;
        return times.filter(within).length;
      });
      assert.deepEqual(series[0].value, expected);
    }),
    { numRuns: 50 },
  );
});

test('the sampler reports a capture that does not answer as missed, and goes on', async () => {
  const seen: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  let calls = 0;
  const stop = startSampler(
    {
      take: (_snapshots, _endMs, isReady) => {
        seen.push(`take ${isReady}`);
        resolve();
      },
      miss: () => seen.push('miss'),
    },
    {
      sample: async () => {
        calls++;
        if (calls === 1) throw new Error('down');
        return calls === 2 ? undefined : [];
      },
      isReady: () => false,
    },
  );
  // The sampler's own timer does not keep the process alive.
  const alive = setInterval(() => {}, 1000);
  await promise;
  stop();
  clearInterval(alive);
  assert.deepEqual(seen, ['miss', 'miss', 'take false']);
});
