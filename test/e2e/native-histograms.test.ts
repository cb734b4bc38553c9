/**
 * Native histograms in real Prometheus servers, a current one and Debian's: what they store must equal what the agent
 * has. The agent's own figures are read twice: as OpenMetrics, and as protobuf by protobufjs.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openMetricsFloat } from '../../src/export/exposition/numbers.ts';
import { type Agent, makeBench } from '../support/agent.ts';
import { parseExposition } from '../support/exposition.ts';
import { type Prometheus, type QueryResult, startPrometheus } from '../support/prometheus.ts';
import { type DecodedHistogram, decodeFamilies, nativeBuckets } from '../support/protobuf.ts';
import { skipWithout } from '../support/tools.ts';
import { goProgram, PROMETHEUS } from './go-program.ts';

const CAPTURE = fileURLToPath(new URL('../../captures/demo.dat', import.meta.url));
const bench = makeBench('native');
const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';
/** The default classic bounds (1, 2 and 5 times powers of ten), as OpenMetrics writes them. */
const BOUNDS = [-6, -5, -4, -3, -2, -1, 0].flatMap((power) =>
  [1, 2, 5].map((digit) => openMetricsFloat(Number(`${digit}e${power}`))),
);
/** Metrics that do not change while an agent serves a recording. */
const AT_REST = '{__name__=~"ftrace_.+",__name__!~"ftrace_exporter_drain_.*"';

const job = (name: string, agent: Agent, options: object = {}) => ({
  job_name: name,
  static_configs: [{ targets: [new URL(agent.url).host] }],
  ...options,
});

/** A series by its name and labels, without the labels that Prometheus added. */
function identity(labels: Record<string, string>): string {
  const { job: _, instance: __, ...own } = labels;
  return JSON.stringify(Object.entries(own).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const accepting = async (agent: Agent, accept: string) =>
  Buffer.from(await (await fetch(`${agent.url}/metrics`, { headers: { accept } })).arrayBuffer());

/**
 * Classic samples of the kernel's metrics by identity, from the agent's OpenMetrics. Values of `le` are compared as
 * text.
 */
async function classicOf(agent: Agent): Promise<Map<string, number>> {
  const text = (await accepting(agent, 'application/openmetrics-text')).toString();
  const samples = parseExposition(text).filter(({ name }) => isAtRest(name));
  return new Map(
    samples.map(({ name, labels, value }) => [
      identity({ ...labels, __name__: name }),
      Number(value.replace('Inf', 'Infinity')),
    ]),
  );
}

const isAtRest = (name: string) => name.startsWith('ftrace_') && !name.startsWith('ftrace_exporter_drain_');

async function nativeOf(agent: Agent): Promise<Map<string, DecodedHistogram>> {
  const histograms = new Map<string, DecodedHistogram>();
  for (const { name, metric } of decodeFamilies(await accepting(agent, PROTOBUF))) {
    for (const { label = [], histogram } of metric) {
      if (histogram === undefined || !isAtRest(name)) continue;
      const labels = Object.fromEntries(label.map((pair) => [pair.name, pair.value]));
      histograms.set(identity({ ...labels, __name__: name }), histogram);
    }
  }
  return histograms;
}

/** Upper bound of a bucket of schema 3. */
const upperBound = (index: number) => 2 ** (index / 8);

/** Interpolates as Prometheus 3 does: exponentially within a bucket; linearly in the zero bucket of positive values. */
function quantile(q: number, histogram: DecodedHistogram): number {
  let rank = q * histogram.sampleCount;
  const zeroes = histogram.zeroCount ?? 0;
  if (rank <= zeroes && zeroes > 0) return (histogram.zeroThreshold ?? 0) * (rank / zeroes);
  rank -= zeroes;
  for (const [index, count] of nativeBuckets(histogram)) {
    if (rank <= count) return upperBound(index - 1 + rank / count);
    rank -= count;
  }
  return Number.NaN;
}

function assertClose(actual: number, expected: number, message: string): void {
  if (Number.isNaN(expected)) assert.ok(Number.isNaN(actual), message);
  else
    assert.ok(Math.abs(actual - expected) <= 1e-9 * Math.abs(expected), `${message}: ${actual}, ${expected}`);
}

function assertSameSeries(stored: Iterable<string>, own: Iterable<string>): void {
  const [first, second] = [new Set(stored), new Set(own)];
  const onlyIn = (one: Set<string>, other: Set<string>) => [...one].filter((s) => !other.has(s)).slice(0, 5);
  assert.deepEqual(
    { stored: onlyIn(first, second), own: onlyIn(second, first) },
    { stored: [], own: [] },
    'series that only one of them has',
  );
}

const byIdentity = (results: readonly QueryResult[]) =>
  new Map(results.map((result) => [identity(result.metric), result]));

/**
 * Compares the native histograms that a Prometheus stored for a job with those of the agent, bucket by bucket. Returns
 * its values.
 */
async function assertNative(prometheus: Prometheus, agent: Agent, jobName: string, quantiles: boolean) {
  const stored = byIdentity(await prometheus.query(`${AT_REST},job="${jobName}"}`));
  const native = new Map([...stored].filter(([, { histogram }]) => histogram !== undefined));
  const own = await nativeOf(agent);
  assert.ok(own.size > 0);
  assertSameSeries(native.keys(), own.keys());
  let buckets = 0;
  for (const [series, histogram] of own) {
    const value = native.get(series)?.histogram?.[1];
    assert.ok(value);
    assert.equal(Number(value.count), histogram.sampleCount, series);
    assert.equal(Number(value.sum), histogram.sampleSum, series);
    const positive = (value.buckets ?? []).filter(([, , upper]) => Number(upper) !== 1e-128);
    const zero = (value.buckets ?? []).find(([, , upper]) => Number(upper) === 1e-128);
    assert.equal(Number(zero?.[3] ?? 0), histogram.zeroCount, series);
    const expected = [...nativeBuckets(histogram)];
    assert.equal(positive.length, expected.length, series);
    for (const [i, [index, count]] of expected.entries()) {
      const [inclusive, lower, upper, counted] = positive[i];
      assert.equal(inclusive, 0);
      assertClose(Number(lower), upperBound(index - 1), series);
      assertClose(Number(upper), upperBound(index), series);
      assert.equal(Number(counted), count, series);
      buckets++;
    }
  }
  assert.ok(buckets > 0);
  if (!quantiles) return stored;
  for (const q of [0, 0.1, 0.5, 0.9, 0.99, 1]) {
    const names = new Set([...own.keys()].map((series) => nameIn(series)));
    for (const name of names) {
      for (const { metric, value } of await prometheus.query(
        `histogram_quantile(${q}, ${name}{job="${jobName}"})`,
      )) {
        const histogram = own.get(identity({ ...metric, __name__: name }));
        assert.ok(histogram);
        assertClose(Number(value?.[1]), quantile(q, histogram), `${q} of ${name}`);
      }
    }
  }
  return stored;
}

const nameIn = (series: string) =>
  (JSON.parse(series) as [string, string][]).find(([label]) => label === '__name__')?.[1] ?? '';

/** Checks that the classic series, with `le` as text, are those of the agent. Returns their number. */
function assertClassic(stored: ReadonlyMap<string, QueryResult>, own: ReadonlyMap<string, number>): void {
  const classic = [...stored].filter(([, { value }]) => value !== undefined);
  assert.ok(own.size > 100);
  assertSameSeries(
    classic.map(([series]) => series),
    own.keys(),
  );
  for (const [series, { value }] of classic) assert.equal(Number(value?.[1]), own.get(series), series);
}

/**
 * Checks that stored native histograms agree with the agent's classic samples. Count and sum must be the same. Each
 * classic count must lie between two sums: of the native buckets that end at or below its bound, and of these plus the
 * bucket that contains the bound.
 */
function assertAgrees(stored: ReadonlyMap<string, QueryResult>, own: ReadonlyMap<string, number>): void {
  let compared = 0;
  for (const { metric, histogram } of stored.values()) {
    if (histogram === undefined) continue;
    const { count, sum, buckets = [] } = histogram[1];
    const { __name__: name, ...labels } = metric;
    const classic = (suffix: string, more = {}) =>
      own.get(identity({ ...labels, ...more, __name__: name + suffix }));
    assert.equal(classic('_count'), Number(count), name);
    assert.equal(classic('_sum'), Number(sum), name);
    for (const le of BOUNDS) {
      const cumulative = classic('_bucket', { le });
      if (cumulative === undefined) continue;
      const sumOf = (column: 1 | 2, slack: number) =>
        buckets.filter((b) => Number(b[column]) < Number(le) * slack).reduce((n, b) => n + Number(b[3]), 0);
      const [least, most] = [sumOf(2, 1 + 1e-9), sumOf(1, 1 - 1e-9)];
      assert.ok(least <= cumulative && cumulative <= most, `${name} ${le}: ${least}, ${cumulative}, ${most}`);
      compared++;
    }
  }
  assert.ok(compared > 100);
}

test('a current Prometheus: native and classic, only native, only classic', async () => {
  const agent = await bench.start({}, { command: ['replay', CAPTURE, '--serve'] });
  const native = { scrape_native_histograms: true };
  const prometheus = await startPrometheus(bench, goProgram(PROMETHEUS), [
    job('both', agent, { ...native, always_scrape_classic_histograms: true }),
    job('native', agent, native),
    job('classic', agent),
    // Asks for protobuf, but does not store native histograms.
    job('protobuf', agent, { scrape_protocols: ['PrometheusProto', 'OpenMetricsText1.0.0'] }),
    job('text', agent, { scrape_protocols: ['PrometheusText0.0.4'] }),
  ]);
  await prometheus.scraped('both', 'native', 'classic', 'protobuf', 'text');
  const own = await classicOf(agent);
  const both = await assertNative(prometheus, agent, 'both', true);
  assertClassic(both, own);
  assertAgrees(both, own);
  const nativeOnly = await assertNative(prometheus, agent, 'native', true);
  assert.ok(![...nativeOnly.keys()].some((series) => nameIn(series).endsWith('_bucket')));
  // A current Prometheus writes `le` of the text format like that of the other formats.
  for (const name of ['classic', 'protobuf', 'text']) {
    assertClassic(byIdentity(await prometheus.query(`${AT_REST},job="${name}"}`)), own);
  }
  // Families of the process must be the same, too, but only in names and labels, because their values change.
  const rest = async (name: string) => {
    const results = await prometheus.query(`{__name__=~"(process|nodejs)_.+",job="${name}"}`);
    return [...byIdentity(results).keys()];
  };
  const [fromProtobuf, fromText] = [await rest('both'), await rest('classic')];
  assert.ok(fromText.length > 20);
  assertSameSeries(fromProtobuf, fromText);
});

test("the running kernel's syscalls, counted twice", async () => {
  const CALLS = 10_000;
  // Hardly any other program makes this call.
  const syscall = 'getpriority';
  const workload = await bench.workload(
    `const work = () => { for (let i = 0; i < ${CALLS}; i++) process.getBuiltinModule('os').getPriority(); };`,
  );
  const agent = await bench.start({ probes: { syscalls: { include: [syscall] }, sched: {} } });
  const prometheus = await startPrometheus(bench, goProgram(PROMETHEUS), [
    job('live', agent, { scrape_native_histograms: true, always_scrape_classic_histograms: true }),
  ]);
  await workload.run();
  const name = 'ftrace_syscall_duration_seconds';
  const ask = async (expression: string) => {
    const [result] = await prometheus.query(expression);
    return Number(result?.value?.[1]);
  };
  // If two reads give the same, Prometheus must have stored the same at the scrape between them.
  for (let attempt = 1; ; attempt++) {
    const before = await agent.scrape();
    await prometheus.scraped('live');
    const stored = {
      native: await ask(`histogram_count(${name}{syscall="${syscall}"})`),
      classic: await ask(`${name}_count{syscall="${syscall}"}`),
      sum: await ask(`histogram_sum(${name}{syscall="${syscall}"})`),
    };
    const after = await agent.scrape();
    const count = after.sum(`${name}_count`, { syscall });
    if (count < CALLS || before.sum(`${name}_count`, { syscall }) !== count) {
      assert.ok(attempt < 10, 'the agent did not come to rest');
      continue;
    }
    const sum = after.sum(`${name}_sum`, { syscall });
    assert.deepEqual(stored, { native: count, classic: count, sum });
    break;
  }
  // Tasks wait for a CPU all the time, so the next scrape must store a larger count.
  const waits = () => ask('sum(histogram_count(ftrace_sched_runqueue_latency_seconds))');
  const first = await waits();
  await prometheus.scraped('live');
  assert.ok((await waits()) > first);
  assert.equal(await agent.stop(), 0, agent.stderr());
  await workload.end();
});

test("Debian's Prometheus: text as ever, and native histograms where they are switched on", {
  skip: skipWithout('prometheus', 'prometheus'),
}, async () => {
  const agent = await bench.start({}, { command: ['replay', CAPTURE, '--serve'] });
  const own = await classicOf(agent);
  const plain = await startPrometheus(bench, 'prometheus', [job('plain', agent)]);
  await plain.scraped('plain');
  assertClassic(byIdentity(await plain.query(`${AT_REST},job="plain"}`)), own);
  const flags = ['--enable-feature=native-histograms'];
  const native = await startPrometheus(bench, 'prometheus', [job('native', agent)], flags);
  await native.scraped('native');
  await assertNative(native, agent, 'native', false);
});
