/** `try`: measures for a short time the metrics that a config declares, and prints their values. */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAgentConfig } from '../agent/main/compose-config.ts';
import { startAgent } from '../agent/main/supervise.ts';
import type { AgentConfig } from '../config/schema.ts';
import { didYouMean } from '../config/suggest.ts';
import { parseDuration } from '../config/units/quantity.ts';
import { METRICS_PREFIX } from '../model/declared-metric.ts';
import { reasonOf, UsageError } from '../model/errors.ts';
import { HISTOGRAM_SCALE, makeHistogramGrid } from '../model/histogram-grid.ts';
import type { FamilySnapshot, MetricSnapshot } from '../model/metric.ts';
import { exponentialCounts } from '../model/snapshot-views.ts';
import { onEndSignals } from './ending.ts';
import { EXIT_FAILED } from './failure.ts';
import { createLog } from './log.ts';
import { print, table } from './output.ts';
import { packageVersion } from './version.ts';

/** Name of the tracefs instance. It differs from the default name, so that `try` can run while an agent runs. */
const INSTANCE = 'ftrace-exporter-try';
const LONGEST_NS = 3600e9;
const MOST_ROWS = 20;
const CLEAR = '\x1b[H\x1b[2J';

/** Returns exit status 1 if a metric does not work. */
export async function tryMetrics(file: string, name: string | undefined, duration: string): Promise<number> {
  const config = chosen(loadAgentConfig({ file, env: {}, flags: { instance: INSTANCE } }), name);
  const lengthMs = durationOf(duration);
  const ended = new AbortController();
  const release = onEndSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], { first: () => ended.abort() });
  const log = createLog({ level: 'error', format: 'logfmt' });
  const agent = await startAgent(config, { log, version: packageVersion() });
  const untilMs = performance.now() + lengthMs;
  try {
    while (performance.now() < untilMs && !ended.signal.aborted) {
      const pauseMs = Math.min(1000, untilMs - performance.now());
      await sleep(Math.max(0, pauseMs), undefined, { signal: ended.signal }).catch(() => {});
      if (process.stdout.isTTY) print(CLEAR + shown(await agent.scrape()));
    }
    if (!process.stdout.isTTY) print(shown(await agent.scrape()));
    const off = (await agent.status()).probes.filter(({ up }) => !up);
    for (const one of off) print(`${one.name} is off: ${one.reason}`);
    return off.length === 0 ? 0 : EXIT_FAILED;
  } finally {
    release();
    await agent.stop();
  }
}

function chosen(config: AgentConfig, name: string | undefined): AgentConfig {
  const metrics = config.probes.filter((probe) => probe.name.startsWith(METRICS_PREFIX));
  const probes = name === undefined ? metrics : metrics.filter((one) => one.name === METRICS_PREFIX + name);
  if (probes.length > 0) return { ...config, probes, spans: undefined };
  const names = metrics.map((one) => one.name.slice(METRICS_PREFIX.length));
  throw new UsageError(
    name === undefined
      ? 'try: the config declares no enabled metrics'
      : `try: the config declares no metric ${name}${didYouMean(name, names)}; there are ${names.join(', ') || 'none'}`,
  );
}

function durationOf(text: string): number {
  try {
    const ns = parseDuration(text);
    if (ns > 0 && ns <= LONGEST_NS) return ns / 1e6;
  } catch (error) {
    throw new UsageError(`--for: ${reasonOf(error)}`);
  }
  throw new UsageError(`--for: ${text} must be more than 0 and at most 1h`);
}

/** Formats one table per metric. A table lists the metric's largest series; for histograms, with quantiles. */
function shown(snapshots: readonly MetricSnapshot[]): string {
  const families = snapshots
    .flatMap((snapshot) => snapshot.families)
    .filter(({ spec }) => spec.name.startsWith('ftrace_') && !spec.name.startsWith('ftrace_exporter_'));
  return families.map((family) => `${family.spec.name}\n${table(rowsOf(family), '  ')}`).join('\n');
}

function rowsOf(family: FamilySnapshot): string[][] {
  const { spec, histogram, values, seriesCount, labelValues } = family;
  const width = spec.labels.length;
  const counts = histogram?.counts ?? values;
  const series = Array.from({ length: seriesCount }, (_, s) => s)
    .filter((s) => !Number.isNaN(counts[s]))
    .sort((a, b) => counts[b] - counts[a]);
  const labelsOf = (s: number) =>
    spec.labels.map((label, i) => `${label}=${labelValues[s * width + i]}`).join(' ');
  const rows = series.slice(0, MOST_ROWS).map((s) => [labelsOf(s), ...numbersOf(family, s)]);
  const more = series.length - rows.length;
  return [
    ['', ...(histogram === undefined ? ['value'] : ['count', 'p50', 'p90', 'p99'])],
    ...rows,
    ...(more > 0 ? [[`and ${more} more`, '']] : []),
  ];
}

function numbersOf({ spec, histogram, values }: FamilySnapshot, s: number): string[] {
  if (histogram === undefined) return [String(Number((values[s] / spec.divisor).toPrecision(6)))];
  const grid = makeHistogramGrid(spec.bounds, spec.divisor);
  const buckets: [upper: number, below: number][] = [];
  let below = exponentialCounts(grid, histogram, s, () => {});
  if (below > 0) buckets.push([0, below]);
  exponentialCounts(grid, histogram, s, (index, count) => {
    below += count;
    buckets.push([2 ** (index / 2 ** HISTOGRAM_SCALE), below]);
  });
  const quantile = (q: number) => buckets.find(([, count]) => count >= q * below)?.[0];
  return [String(histogram.counts[s]), ...[0.5, 0.9, 0.99].map((q) => quantity(quantile(q), spec.unit))];
}

function quantity(value: number | undefined, unit: string): string {
  if (value === undefined) return '-';
  if (unit !== 'seconds') return String(Number(value.toPrecision(3)));
  const [factor, name] = value >= 1 ? [1, 's'] : value >= 1e-3 ? [1e3, 'ms'] : [1e6, 'us'];
  return `${Number((value * factor).toPrecision(3))}${name}`;
}
