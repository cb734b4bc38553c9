/**
 * Scrapes and pushes the same agent: a current Prometheus must store the same in both cases. The agent serves a
 * recording, so that the kernel's values do not change.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { type Agent, makeBench } from '../support/agent.ts';
import { type Prometheus, type QueryResult, startPrometheus } from '../support/prometheus.ts';
import { goProgram, PROMETHEUS } from './go-program.ts';

const CAPTURE = fileURLToPath(new URL('../../captures/demo.dat', import.meta.url));
const bench = makeBench('otlp');
const ALL = '{__name__=~"(ftrace|process|nodejs)_.+"}';
/** Metrics that change while a recording is served: those of the agent itself. */
const MOVING = /^(process|nodejs)_|^ftrace_exporter_(drain|otlp)_/;

interface Both {
  agent: Agent;
  pushed: Prometheus;
  scraped: Prometheus;
}

/** An agent, a Prometheus that it pushes to, and a Prometheus that scrapes it. */
async function pushedAndScraped(otlp: object, job: object = {}): Promise<Both> {
  const pushed = await startPrometheus(bench, goProgram(PROMETHEUS), [], ['--web.enable-otlp-receiver']);
  const agent = await bench.start(
    {
      probes: { syscalls: {} },
      otlp: { endpoint: `${pushed.url}/api/v1/otlp`, metric_export_interval: '500ms', ...otlp },
    },
    { command: ['replay', CAPTURE, '--serve'] },
  );
  const scraped = await startPrometheus(bench, goProgram(PROMETHEUS), [
    { job_name: 'scraped', static_configs: [{ targets: [new URL(agent.url).host] }], ...job },
  ]);
  await scraped.scraped('scraped');
  await untilPushed(pushed);
  return { agent, pushed, scraped };
}

/** Waits until Prometheus has received a push that began after this call. */
async function untilPushed(prometheus: Prometheus): Promise<void> {
  const from = Date.now() / 1000;
  const deadline = performance.now() + 30_000;
  for (;;) {
    const [result] = await prometheus.query('timestamp(ftrace_exporter_build_info)');
    if (Number(result?.value?.[1] ?? 0) > from) return;
    assert.ok(performance.now() < deadline, 'nothing is pushed');
    await sleep(100);
  }
}

/**
 * A series by its name and labels, without the labels that Prometheus added. `le` is compared as a number: Prometheus
 * writes it differently for a push than for a scrape, `0.000001` for `1e-06`.
 */
function identity(labels: Record<string, string>): string {
  const { job: _, instance: __, ...own } = labels;
  if (own.le !== undefined) own.le = String(Number(own.le.replace('+Inf', 'Infinity')));
  return JSON.stringify(Object.entries(own).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function byIdentity(results: readonly QueryResult[]): Map<string, QueryResult> {
  const series = new Map(results.map((result) => [identity(result.metric), result]));
  assert.equal(series.size, results.length, 'two series of one identity');
  return series;
}

function assertSameSeries(pushed: Iterable<string>, scraped: Iterable<string>): void {
  const [first, second] = [new Set(pushed), new Set(scraped)];
  const onlyIn = (one: Set<string>, other: Set<string>) => [...one].filter((s) => !other.has(s)).slice(0, 5);
  assert.deepEqual(
    { pushed: onlyIn(first, second), scraped: onlyIn(second, first) },
    { pushed: [], scraped: [] },
    'series that only one of them has',
  );
}

/**
 * All series of both. A garbage collection of a kind that had not happened yet adds series to the agent, which one
 * Prometheus may get before the other: asks again until both have the same, or 30 s have passed.
 */
async function allOfBoth(pushed: Prometheus, scraped: Prometheus): Promise<Map<string, QueryResult>[]> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const ofPushes = byIdentity(await pushed.query(ALL));
    const ofScrapes = byIdentity(await scraped.query(ALL));
    const same = isDeepStrictEqual(new Set(ofPushes.keys()), new Set(ofScrapes.keys()));
    if (same || performance.now() > deadline) return [ofPushes, ofScrapes];
    await sleep(200);
  }
}

const namesOf = (series: Map<string, QueryResult>) =>
  [...new Set(Array.from(series.values(), ({ metric }) => metric.__name__))].sort();

const atRest = (series: Map<string, QueryResult>) =>
  new Map([...series].filter(([, { metric }]) => !MOVING.test(metric.__name__)));

for (const protocol of ['http/protobuf', 'http/json'] as const) {
  test(`pushed by ${protocol}: the same names, series and values as scraped`, async () => {
    const { agent, pushed, scraped } = await pushedAndScraped({ protocol, compression: 'gzip' });
    const [ofPushes, ofScrapes] = await allOfBoth(pushed, scraped);
    const names = namesOf(ofPushes);
    assert.deepEqual(names, namesOf(ofScrapes));
    assert.ok(names.length > 60, names.join());
    for (const kind of [
      /_total$/,
      /_seconds_bucket$/,
      /_ratio$/,
      /_bytes_total$/,
      /^ftrace_exporter_series$/,
    ]) {
      assert.ok(
        names.some((name) => kind.test(name)),
        String(kind),
      );
    }
    assertSameSeries(ofPushes.keys(), ofScrapes.keys());
    let compared = 0;
    for (const [series, { value }] of atRest(ofPushes)) {
      assert.equal(value?.[1], ofScrapes.get(series)?.value?.[1], series);
      compared++;
    }
    assert.ok(compared > 500, String(compared));
    const [info] = await pushed.query('target_info');
    assert.equal(info.metric.job, 'ftrace-exporter');
    assert.ok(info.metric.host_name && info.metric.os_version && info.metric.service_version);
    const exports = await pushed.query('ftrace_exporter_otlp_exports_total{outcome="failed"}');
    assert.equal(exports[0]?.value?.[1], '0');
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
}

test('pushed as exponential histograms: count, sum and every bucket as scraped natively', async () => {
  const { pushed, scraped } = await pushedAndScraped(
    { histogram_aggregation: 'base2_exponential_bucket_histogram' },
    { scrape_native_histograms: true, always_scrape_classic_histograms: true },
  );
  const ofKernel = '{__name__=~"ftrace_.+_seconds",__name__!~"ftrace_exporter_.+"}';
  const ofPushes = byIdentity((await pushed.query(ofKernel)).filter(({ histogram }) => histogram));
  const ofScrapes = byIdentity((await scraped.query(ofKernel)).filter(({ histogram }) => histogram));
  assertSameSeries(ofPushes.keys(), ofScrapes.keys());
  assert.ok(ofPushes.size > 20, String(ofPushes.size));
  for (const [series, { histogram }] of ofPushes) {
    const native = ofScrapes.get(series)?.histogram?.[1];
    assert.ok(histogram && native);
    assert.deepEqual(histogram[1], native, series);
  }
  // Queries that users write must return the same as the classic series of the scrape.
  for (const name of new Set(Array.from(ofPushes.values(), ({ metric }) => metric.__name__))) {
    for (const part of ['count', 'sum']) {
      const answer = byIdentity(await pushed.query(`histogram_${part}(${name})`));
      const classic = byIdentity(await scraped.query(`${name}_${part}`));
      assert.equal(answer.size, classic.size);
      for (const [series, { metric, value }] of classic) {
        const { __name__: _, ...labels } = metric;
        assert.equal(answer.get(identity(labels))?.value?.[1], value?.[1], series);
      }
    }
  }
});
