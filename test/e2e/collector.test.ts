/**
 * With each protocol, a real OpenTelemetry Collector must receive metrics with the names and values of a scrape, and
 * traces with the ids that the agent shows.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { OTLP_PROTOCOLS, type OtlpProtocol } from '../../src/model/otlp.ts';
import { type Agent, makeBench, needTool } from '../support/agent.ts';
import { type Collector, startCollector } from '../support/collector.ts';
import { parseExposition } from '../support/exposition.ts';
import type { Point, PushedMetric } from '../support/otlp.ts';
import { COLLECTOR, goProgram } from './go-program.ts';

const CAPTURE = fileURLToPath(new URL('../../captures/demo.dat', import.meta.url));
const bench = makeBench('collector');
/** Metrics that change while a recording is served, because they are about the agent itself. */
const MOVING = /^(process|nodejs)_|^ftrace_exporter_(drain|otlp)_/;

/** A metric that is in every push, in one request. */
const FIRST = 'ftrace_exporter_build_info';

const otlpTo = (collector: Collector, protocol: OtlpProtocol) => ({
  protocol,
  endpoint: protocol === 'grpc' ? collector.grpcUrl : collector.httpUrl,
});

/** Starts an agent that serves the recording and pushes it. Returns what has arrived, with one point per series. */
async function pushed(
  protocol: OtlpProtocol,
  otlp: object,
): Promise<{ agent: Agent; metrics: PushedMetric[] }> {
  const collector = await startCollector(bench, goProgram(COLLECTOR));
  const agent = await bench.start(
    {
      probes: { syscalls: {} },
      otlp: { ...otlpTo(collector, protocol), metric_export_interval: '500ms', ...otlp },
    },
    { command: ['replay', CAPTURE, '--serve'] },
  );
  // A push can be more than one request, so the second push shows that the first is complete.
  const pushes = () => collector.metrics().filter((request) => request.some(({ name }) => name === FIRST));
  await until(() => pushes().length >= 2, 'nothing is pushed');
  const byName = new Map<string, PushedMetric>();
  for (const metric of collector.metrics().flat()) {
    const points = [...(byName.get(metric.name)?.points ?? []), ...metric.points];
    const latest = new Map(points.map((point) => [keyOf(point), point]));
    byName.set(metric.name, { ...metric, points: [...latest.values()] });
  }
  return { agent, metrics: [...byName.values()] };
}

async function until(done: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!done()) {
    assert.ok(performance.now() < deadline, what);
    await sleep(100);
  }
}

const labelsText = (labels: Record<string, string>) =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
const keyOf = ({ attributes }: Point) => labelsText(attributes);

/** The samples that a scrape has for a pushed metric. */
function samplesOf({ name, kind, points }: PushedMetric): [series: string, value: number][] {
  return points.flatMap((point): [string, number][] => {
    const key = keyOf(point);
    if (kind === 'sum' || kind === 'gauge')
      return [[`${name}${kind === 'sum' ? '_total' : ''}${key}`, point.value ?? Number.NaN]];
    const { count = Number.NaN, sum = Number.NaN, bounds = [], counts = [] } = point;
    const whole: [string, number][] = [
      [`${name}_count${key}`, count],
      [`${name}_sum${key}`, sum],
    ];
    if (kind === 'exponentialHistogram') return whole;
    let below = 0;
    const buckets = [...bounds, Number.POSITIVE_INFINITY].map((le, i): [string, number] => {
      below += counts[i];
      return [`${name}_bucket${labelsText({ ...point.attributes, le: String(le) })}`, below];
    });
    return [...whole, ...buckets];
  });
}

/** Samples of a scrape, without the metrics that change. */
async function scraped(agent: Agent): Promise<Map<string, number>> {
  const { text } = await agent.scrape();
  const number = (value: string) => Number(value.replace('Inf', 'Infinity'));
  return new Map(
    parseExposition(text)
      .filter(({ name }) => !MOVING.test(name))
      .map(({ name, labels: { le, ...labels }, value }) => {
        const all = le === undefined ? labels : { ...labels, le: String(number(le)) };
        return [`${name}${labelsText(all)}`, number(value)];
      }),
  );
}

const atRest = (metrics: readonly PushedMetric[]) => metrics.filter(({ name }) => !MOVING.test(name));
const sorted = (samples: Iterable<[string, number]>) => [...samples].sort(([a], [b]) => (a < b ? -1 : 1));

/** Buckets of exponential histograms that the first protocol delivered. The other protocols must deliver the same. */
let buckets: unknown;

for (const protocol of OTLP_PROTOCOLS) {
  test(`metrics by ${protocol}: the names and values of a scrape`, async () => {
    const { agent, metrics } = await pushed(protocol, { compression: 'gzip' });
    const samples = atRest(metrics).flatMap(samplesOf);
    assert.ok(samples.length > 500, String(samples.length));
    assert.deepEqual(sorted(samples), sorted(await scraped(agent)));
    assert.equal(await agent.stop(), 0, agent.stderr());
  });

  test(`exponential histograms by ${protocol}: count and sum of a scrape, and all in buckets`, async () => {
    const { agent, metrics } = await pushed(protocol, {
      histogram_aggregation: 'base2_exponential_bucket_histogram',
    });
    const histograms = atRest(metrics).filter(({ kind }) => kind === 'exponentialHistogram');
    assert.ok(histograms.length > 3, String(histograms.length));
    const scrape = await scraped(agent);
    for (const [series, value] of histograms.flatMap(samplesOf))
      assert.equal(value, scrape.get(series), series);
    for (const { name, points } of histograms) {
      for (const { count, scale, zeroCount = 0, positive } of points) {
        const inBuckets = positive?.counts.reduce((sum, n) => sum + n, zeroCount);
        assert.deepEqual([scale, inBuckets], [3, count], name);
      }
    }
    const own = histograms.map(({ name, points }) => [name, points.map((p) => [keyOf(p), p.positive])]);
    buckets ??= own;
    assert.deepEqual(own, buckets);
    assert.equal(await agent.stop(), 0, agent.stderr());
  });

  test(`traces by ${protocol}: the ids of /api/v1/slow and of exemplars`, async () => {
    needTool('python3', 'python3');
    // Hardly any other program makes this call.
    const include = ['rt_sigtimedwait'];
    const collector = await startCollector(bench, goProgram(COLLECTOR));
    const agent = await bench.start({
      probes: { syscalls: { include } },
      spans: { max_traces_per_second: 1000, kinds: { syscalls: { threshold: '1ms', include } } },
      otlp: { ...otlpTo(collector, protocol), metrics: false },
    });
    execFileSync('python3', [
      '-c',
      'import signal\nfor ms in 2, 15, 60, 250: signal.sigtimedwait([], ms / 1000)',
    ]);
    const roots = () => collector.spans().filter(({ parentSpanId }) => parentSpanId === '');
    await until(() => roots().length >= 4, 'not all traces arrive');
    const answer = await fetch(`${agent.url}/api/v1/slow?kind=syscalls&limit=100`);
    const { last } = (await answer.json()) as { last: { traceId: string }[] };
    const ids = (traces: { traceId: string }[]) => traces.map(({ traceId }) => traceId).sort();
    assert.deepEqual(ids(roots()), ids(last));
    const openMetrics = await fetch(`${agent.url}/metrics`, {
      headers: { accept: 'application/openmetrics-text' },
    });
    const exemplars = [...(await openMetrics.text()).matchAll(/ # \{trace_id="(\w+)"/g)].map(([, id]) => id);
    assert.ok(exemplars.length >= 4, 'each duration has a bucket of its own');
    for (const id of exemplars) assert.ok(ids(last).includes(id), id);
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
}
