/** Exemplars on buckets in each format. Other programs' parsers read them back, if such parsers exist. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createExemplars } from '../../../src/export/exemplars.ts';
import { createProtobufRenderer } from '../../../src/export/exposition/protobuf.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { TraceRecord } from '../../../src/model/span.ts';
import { traceOf } from '../../support/otlp-traces.ts';
import { decodeFamilies } from '../../support/protobuf.ts';

const NAME = 'ftrace_syscall_duration_seconds';
const BOUNDS = [0.001, 0.01, 0.1];

function storeOf() {
  const store = new MetricStore();
  const labels = ['syscall', 'cpu'];
  const histogram = store.histogram({ name: NAME, help: 'H.', labels, bounds: BOUNDS });
  const record = (syscall: string, ns: number) => histogram.record(histogram.slot([syscall, '0']), ns);
  return { store, record };
}

function pointing(syscall: string, valueNs: number, atSeconds = 1_764_000_000): TraceRecord {
  const trace = traceOf('syscalls', { startSeconds: atSeconds, durationNs: 123_456_789 });
  const { spanId } = trace.spans[0];
  return { ...trace, exemplars: [{ metric: NAME, labelValues: [syscall, '0'], valueNs, spanId }] };
}

const linesOf = (body: Buffer, pattern: RegExp) =>
  body
    .toString()
    .split('\n')
    .filter((line) => pattern.test(line));

test('OpenMetrics: the newest exemplar of each bucket, bounds included, and +Inf', () => {
  const { store, record } = storeOf();
  const exemplars = createExemplars();
  for (const ns of [1e6, 1e6 + 1, 5e6, 2e9]) record('fsync', ns);
  record('read', 5);
  const [atBound, above, old, fresh, beyond] = [
    pointing('fsync', 1e6),
    pointing('fsync', 1e6 + 1),
    pointing('fsync', 4e6),
    pointing('fsync', 5e6, 1_764_000_009),
    pointing('fsync', 2e9),
  ];
  exemplars.add([atBound, above, old, fresh, beyond]);
  const renderer = createRenderer({ exemplars });
  const text = renderer.render([store.snapshot()], 'openmetrics');
  const shown = (trace: TraceRecord, value: string, at = '1764000000.123') =>
    ` # {trace_id="${trace.traceId}",span_id="${trace.spans[0].spanId}"} ${value} ${at}`;
  const bucket = (le: string, count: number) => `${NAME}_bucket{syscall="fsync",cpu="0",le="${le}"} ${count}`;
  assert.deepEqual(linesOf(text, /_bucket.*fsync/), [
    bucket('0.001', 1) + shown(atBound, '0.001'),
    bucket('0.01', 3) + shown(fresh, '0.005', '1764000009.123'),
    bucket('0.1', 3),
    bucket('+Inf', 4) + shown(beyond, '2'),
  ]);
  for (const line of linesOf(text, / # /)) {
    const labels = /\{([^}]*)\} \S+ \S+$/.exec(line)?.[1] ?? '';
    assert.ok(labels.replace(/[=",]/g, '').length <= 128, line);
  }
  assert.equal(linesOf(text, / # /).length, 3, 'and nowhere else');
  assert.equal(linesOf(renderer.render([store.snapshot()], 'text'), / # \{/).length, 0);
  const plain = createRenderer().render([store.snapshot()], 'openmetrics').toString();
  assert.equal(text.toString().replace(/ # \{.*$/gm, ''), plain, 'all else is the same');
});

test('protobuf: on classic buckets, and the same ones on the native histogram', () => {
  const { store, record } = storeOf();
  for (const ns of [1e6, 5e6, 2e9]) record('fsync', ns);
  record('read', 5);
  const exemplars = createExemplars();
  const traces = [pointing('fsync', 1e6), pointing('fsync', 5e6), pointing('fsync', 2e9)];
  exemplars.add(traces);
  const render = (options: object) => {
    const families = decodeFamilies(createProtobufRenderer(options).render([store.snapshot()]));
    return families.find(({ name }) => name === NAME) ?? assert.fail('no histogram');
  };
  const family = render({ exemplars });
  const plain = render({});
  // biome-ignore lint/suspicious/noExplicitAny: exemplars are in no other test.
  const histogram = family.metric[0].histogram as any;
  const expected = traces.map(({ traceId, spans }, i) => ({
    label: [
      { name: 'trace_id', value: traceId },
      { name: 'span_id', value: spans[0].spanId },
    ],
    value: [0.001, 0.005, 2][i],
    timestamp: { seconds: 1_764_000_000, nanos: 123_000_000 },
  }));
  assert.deepEqual(
    histogram.bucket.map((b: { upperBound: number; exemplar?: object }) => [b.upperBound, b.exemplar]),
    [
      [0.001, expected[0]],
      [0.01, expected[1]],
      [0.1, undefined],
      [Number.POSITIVE_INFINITY, expected[2]],
    ],
  );
  assert.equal(histogram.bucket[3].cumulativeCount, 3);
  assert.deepEqual(histogram.exemplars, expected);
  const { bucket: _, exemplars: __, ...rest } = histogram;
  const { bucket: ___, ...plainRest } = plain.metric[0].histogram as typeof histogram;
  assert.deepEqual(rest, plainRest);
  assert.deepEqual(family.metric[1], plain.metric[1]);
});

test('exemplars stay from scrape to scrape, go with their series, and are bounded', () => {
  const { store, record } = storeOf();
  record('fsync', 5e6);
  const exemplars = createExemplars({ maxSeries: 10 });
  exemplars.add([pointing('fsync', 5e6), pointing('gone', 5e6)]);
  const renderer = createRenderer({ exemplars });
  for (let scrape = 0; scrape < 5; scrape++)
    assert.equal(linesOf(renderer.render([store.snapshot()], 'openmetrics'), / # /).length, 1);
  assert.equal(exemplars.size(), 1);
  // An exemplar whose series does not exist yet is kept for a while.
  exemplars.add([pointing('late', 5e6)]);
  renderer.render([store.snapshot()], 'openmetrics');
  record('late', 5e6);
  assert.equal(linesOf(renderer.render([store.snapshot()], 'openmetrics'), / # /).length, 2);
  for (let i = 0; i < 1000; i++) exemplars.add([pointing(`call${i}`, i)]);
  assert.equal(exemplars.size(), 10);
});
