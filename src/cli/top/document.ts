/** Gets the rates and quantiles of `top` from the agent's HTTP API. A view is a table, described in docs/top.md. */
import type { HistoryAnswer, HistoryIndex, HistoryMetric, HistorySeries } from '../../model/history.ts';
import type { StatusDocument } from '../../model/status.ts';
import { quantile } from '../../page/buckets.ts';
import { isOwn, titleOf } from '../../page/names.ts';
import { topLabels } from '../../page/top-labels.ts';
import type { Client } from './client.ts';

/** Period that the rates of a live agent cover. Rates of a recording cover its whole length. */
const WINDOW_MS = 10_000;
const MOST_ROWS = 500;
/** Keys 1 to 9 select a view. */
const MOST_VIEWS = 9;

export interface TopDocument extends Pick<StatusDocument, 'source' | 'ready' | 'reason'> {
  url: string;
  /** End of the newest sample in ms: Unix time, or time since a recording's first event. null without samples. */
  time: number | null;
  axis: 'time' | 'recording';
  /** Length of the period that the rates cover, in seconds. */
  seconds: number;
  events_per_second: number | null;
  events_lost: number | null;
  /** CPU seconds that the agent uses per second; null for a recording. */
  agent_cpu: number | null;
  views: TopView[];
}

export interface TopView {
  /** `overview`, or the name of a metric. */
  name: string;
  title: string;
  kind: 'histogram' | 'counter';
  unit: string;
  by: string[];
  rows: TopRow[];
}

export interface TopRow {
  /** Values of the labels. In the overview: the title of the metric. */
  labels: Record<string, string>;
  per_second: number;
  /** For histograms: sum of the durations per second, in seconds. null for counters. */
  busy: number | null;
  p50: number | null;
  p99: number | null;
}

export async function readDocument({ url, get }: Client): Promise<TopDocument> {
  const [index, status] = await Promise.all([
    get<HistoryIndex>('api/v1/history'),
    get<{ source: 'live' | 'replay'; ready: boolean; reason: string }>('api/v1/status'),
  ]);
  const [{ to, from }] = index.resolutions;
  const since = index.axis === 'recording' || to === null ? undefined : to - WINDOW_MS;
  const ask = (metric: HistoryMetric, by: readonly string[]) => {
    const query = new URLSearchParams({ metric: metric.name, fold: 'true', limit: String(MOST_ROWS) });
    if (by.length > 0) query.set('by', by.join(','));
    if (since !== undefined) query.set('since', String(since));
    return get<HistoryAnswer>(`api/v1/history?${query}`);
  };
  const total = async (name: string): Promise<number | null> => {
    const metric = index.metrics.find((one) => one.name === name);
    if (metric === undefined) return null;
    const { series } = await ask(metric, []);
    return series[0]?.value?.[0] ?? 0;
  };
  const active = index.metrics.filter(({ name, series }) => series > 0 && !isOwn(name));
  const histograms = active.filter(({ kind }) => kind === 'histogram');
  const all = await Promise.all(histograms.map((metric) => ask(metric, [])));
  const tables = active.flatMap((metric) => {
    const by = topLabels(metric);
    return by.length === 0 ? [] : [{ metric, by }];
  });
  // Histograms come first, so that the keys (1 to 9) of their views do not change when a counter appears.
  tables.sort((a, b) => Number(a.metric.kind === 'counter') - Number(b.metric.kind === 'counter'));
  const views = await Promise.all(
    tables.slice(0, MOST_VIEWS - 1).map(async ({ metric, by }) => viewOf(metric, await ask(metric, by))),
  );
  const seconds = all[0]?.seconds[0] ?? (since === undefined ? ((to ?? 0) - (from ?? 0)) / 1000 : 0);
  const [events, lost, cpu] = await Promise.all(
    [
      'ftrace_exporter_events_read_total',
      'ftrace_exporter_events_lost_total',
      'process_cpu_seconds_total',
    ].map(total),
  );
  const perSecond = (value: number | null) => (value === null || seconds === 0 ? null : value / seconds);
  return {
    url,
    time: to,
    axis: index.axis,
    source: status.source,
    ready: status.ready,
    reason: status.reason,
    seconds,
    events_per_second: perSecond(events),
    events_lost: lost,
    agent_cpu: perSecond(cpu),
    views: [overviewOf(histograms, all), ...views],
  };
}

function overviewOf(metrics: readonly HistoryMetric[], answers: readonly HistoryAnswer[]): TopView {
  const rows = metrics.flatMap(({ name }, i) => {
    const [series] = answers[i].series;
    return [rowOf({ ...series, labels: { metric: titleOf(name) } }, answers[i].seconds[0] || 1)];
  });
  return { name: 'overview', title: 'Overview', kind: 'histogram', unit: 'seconds', by: ['metric'], rows };
}

function viewOf({ name, kind, unit }: HistoryMetric, answer: HistoryAnswer): TopView {
  const seconds = answer.seconds[0] || 1;
  const rows = answer.series.map((series) => rowOf(series, seconds));
  return { name, title: titleOf(name), kind, unit, by: answer.by, rows };
}

function rowOf({ labels, value, count, sum, buckets }: HistorySeries, seconds: number): TopRow {
  const counts = buckets?.[0] ?? [];
  return {
    labels,
    per_second: (value?.[0] ?? count?.[0] ?? 0) / seconds,
    busy: value === undefined ? (sum?.[0] ?? 0) / seconds : null,
    p50: quantile(counts, 0.5) ?? null,
    p99: quantile(counts, 0.99) ?? null,
  };
}
