/** Code of the page that needs no browser: rows of heat maps, quantiles, merged answers and texts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HistoryAnswer } from '../../../src/model/history.ts';
import type { SlowTree, SpanTree } from '../../../src/model/slow.ts';
import { boundsOf, merged, quantile, rowCounts, rowsOf, upperBound } from '../../../src/page/buckets.ts';
import { explanationOf } from '../../../src/page/explanation.ts';
import { bytes, compact, duration, moment, rate, share } from '../../../src/page/format.ts';
import { columnAt, heatColumns, heatData, rowAt, startOf } from '../../../src/page/heat-data.ts';
import { labelText, titleOf, whoOf } from '../../../src/page/names.ts';
import { append, extend } from '../../../src/page/series.ts';
import { topLabels } from '../../../src/page/top-labels.ts';

const buckets = fc
  .uniqueArray(fc.oneof(fc.integer({ min: -240, max: 184 }), fc.constant(-32768)), { maxLength: 40 })
  .chain((indexes) =>
    fc
      .array(fc.integer({ min: 1, max: 1000 }), { minLength: indexes.length, maxLength: indexes.length })
      .map((counts) => [...indexes].sort((a, b) => a - b).flatMap((index, i) => [index, counts[i]])),
  );

test('rows hold every count, and each within its bounds', () => {
  fc.assert(
    fc.property(fc.array(buckets, { maxLength: 5 }), fc.integer({ min: 8, max: 40 }), (columns, most) => {
      const rows = rowsOf(columns, most);
      assert.ok(rows.count <= Math.max(most, 8) + 3, `${rows.count} rows`);
      for (const column of columns) {
        const counts = rowCounts(column, rows);
        const expected = new Float64Array(rows.count);
        for (let i = 0; i < column.length; i += 2) {
          const upper = upperBound(column[i]) * (1 - 1e-12);
          const row =
            [...expected.keys()].find((r) => upper <= boundsOf(rows.first + r, rows.width)[1]) ?? -1;
          expected[row] += column[i + 1];
        }
        assert.deepEqual(counts, expected);
      }
    }),
  );
});

test('a quantile is the upper bound of the bucket that contains it', () => {
  assert.equal(quantile([], 0.5), undefined);
  assert.equal(quantile([-8, 1, 0, 98, 8, 1], 0.5), 1);
  assert.equal(quantile([-8, 1, 0, 98, 8, 1], 0.99), 1);
  assert.equal(quantile([-8, 1, 0, 98, 8, 1], 0.999), 2);
  assert.deepEqual(merged([[1, 2, 3, 4], null, [3, 1]]), [1, 2, 3, 5]);
});

function answerOf(): HistoryAnswer {
  return {
    metric: 'ftrace_test_seconds',
    kind: 'histogram',
    unit: 'seconds',
    by: ['device'],
    resolution: 'fine',
    step_seconds: 1,
    times: [1000, 2000],
    seconds: [1, 1],
    not_ready: [1],
    series: [{ labels: { device: 'sda' }, count: [1, 0], sum: [0.1, 0], buckets: [[0, 1], []] }],
  };
}

test('an answer grows with what is newer, keeps gaps, and forgets what is too old', () => {
  const answer = answerOf();
  const more = {
    ...answerOf(),
    times: [3000, 4000],
    seconds: [0, 1],
    not_ready: [],
    series: [{ labels: { device: 'sdb' }, count: [null, 2], sum: [null, 1], buckets: [null, [8, 2]] }],
  };
  extend(answer, more, 3000);
  assert.deepEqual(answer.times, [2000, 3000, 4000]);
  assert.deepEqual(answer.not_ready, [0]);
  assert.deepEqual(
    answer.series.map(({ labels, count, buckets: counts }) => [labels.device, count, counts]),
    [
      ['sda', [0, null, 0], [[], null, []]],
      ['sdb', [0, null, 2], [[], null, [8, 2]]],
    ],
  );
});

test('a live column becomes one more column; a metric without changes has none, a gap is unknown', () => {
  const answer: HistoryAnswer = { ...answerOf(), by: [], series: [{ ...answerOf().series[0], labels: {} }] };
  const column = { time: 3000, seconds: 1, gap: false, ready: true, reason: '', metrics: {} };
  append(answer, column, 60_000);
  append(answer, column, 60_000);
  append(answer, { ...column, time: 5000, gap: true, ready: false }, 60_000);
  const durations = { count: 3, sum: 0.2, buckets: [0, 3] };
  append(answer, { ...column, time: 6000, metrics: { ftrace_test_seconds: durations } }, 60_000);
  assert.deepEqual(answer.times, [1000, 2000, 3000, 5000, 6000]);
  assert.deepEqual(answer.series[0].count, [1, 0, 0, null, 3]);
  assert.deepEqual(answer.not_ready, [1, 3]);

  const data = heatData(answer, answer.series[0], { axis: 'time', from: 0, to: 6000 });
  assert.equal(startOf(data, 3), 3000, 'a gap begins where the column before it ends');
  assert.equal(columnAt(data, 4000), 3);
  assert.equal(columnAt(data, 7000), undefined);
  const columns = heatColumns(data, 20);
  assert.deepEqual([columns.total, columns.most], [4, 3]);
  assert.deepEqual(columns.p99, [1, null, null, null, 1]);
  assert.equal(columns.counts[4]?.[rowAt(columns, 0.99) as number], 3);
});

test('texts have units, and what is more than nothing never shows as 0', () => {
  assert.deepEqual([0, 8.5e-7, 6.12e-5, 0.005, 2.5, 1234].map(duration), [
    '0 s',
    '850 ns',
    '61.2 µs',
    '5 ms',
    '2.5 s',
    '1,234 s',
  ]);
  assert.deepEqual([0.5, 39.3, 4502.006, 12_345, 2_500_000].map(compact), [
    '0.5',
    '39.3',
    '4,502',
    '12.3 k',
    '2.5 M',
  ]);
  assert.deepEqual([rate(0.002, 'seconds'), rate(2048, 'bytes'), rate(3, '')], ['2 ms/s', '2 KiB/s', '3/s']);
  assert.deepEqual([0, 0.0001, 0.42].map(share), ['0 %', '< 0.1 %', '42 %']);
  assert.equal(bytes(1536), '1.5 KiB');
  assert.equal(moment(1250, 'recording'), '+1.250 s');
  assert.equal(titleOf('ftrace_sched_runqueue_latency_seconds'), 'Waiting for a CPU');
  assert.equal(titleOf('ftrace_nfs_rpc_seconds'), 'Nfs rpc');
  assert.equal(labelText({ cpu: '3', kind: 'voluntary', pod: '' }), 'CPU 3 voluntary');
  assert.deepEqual([labelText({}), labelText({ pod: '' })], ['all', '–']);
  const metric = { name: 'a', help: '', unit: '', series: 1, labels: ['cpu', 'device'] };
  assert.deepEqual(topLabels({ ...metric, kind: 'histogram' }), ['device']);
  assert.deepEqual(topLabels({ ...metric, kind: 'counter' }), []);
});

test('an operation names its thread, and its program if that has another name', () => {
  const who = (attributes: Record<string, string | number>, resource = {}) => whoOf({ attributes, resource });
  const pid = { 'process.pid': 7 };
  const program = { 'process.executable.name': 'python3', ...pid };
  assert.equal(who({ 'thread.name': 'ledger', ...program }), 'ledger (python3) · 7');
  assert.equal(who({ 'thread.name': 'python3', ...program }), 'python3 · 7');
  assert.equal(who(program, { 'k8s.pod.name': 'web-7' }), 'python3 · 7 · web-7');
  assert.equal(who({ 'thread.name': 'kworker/0:1', ...pid }), 'kworker/0:1 · 7');
});

test('a trace is explained by who took the time, with the short rest in one row', () => {
  const child = (name: string, seconds: number, attributes: SpanTree['attributes'] = {}): SpanTree => {
    return { name, spanId: '', start: '', durationSeconds: seconds, attributes, children: [] };
  };
  const ran = (thread: string, seconds: number) => child('ran instead', seconds, { 'thread.name': thread });
  const wait: SlowTree = {
    ...child('runqueue wait', 2),
    children: [ran('a', 0.25), ran('ledger', 0.5), ran('a', 0.5), child('softirq', 0.25)],
    ...{ traceId: '', kind: 'sched', resource: {}, pruned: 0 },
  };
  assert.deepEqual(explanationOf(wait), [
    { what: 'ran instead: a', seconds: 0.75, times: 2 },
    { what: 'ran instead: ledger', seconds: 0.5, times: 1 },
    { what: 'not known', seconds: 0.5, times: 1 },
    { what: 'softirq', seconds: 0.25, times: 1 },
  ]);
  const many = Array.from({ length: 14 }, (_, i) => ran(`t${i}`, 0.125));
  const call = explanationOf({ ...wait, kind: 'syscalls', children: many });
  assert.deepEqual(call[0], { what: 'the operation itself', seconds: 0.25, times: 1 });
  assert.equal(call.length, 11);
  assert.deepEqual(call.at(-1), { what: '5 others', seconds: 0.625, times: 5 });
  const disks = [child('block write', 2, { 'system.device': 'sda' })];
  assert.deepEqual(explanationOf({ ...wait, children: disks }), [
    { what: 'block write: sda', seconds: 2, times: 1 },
  ]);
});
