/** Appends columns (how much a metric grew in a period of time) to a history answer, and removes old ones. */
import type { HistoryAnswer, HistorySeries, LiveMetric } from '../model/history.ts';
import type { LiveMessage } from './api.ts';

/** Appends a column of `/api/v1/live` to an answer that was requested without `by`. */
export function append(answer: HistoryAnswer, column: LiveMessage, keepMs: number): void {
  if (column.time <= (answer.times.at(-1) ?? 0)) return;
  answer.series[0] ??= emptySeries(answer);
  const [series] = answer.series;
  const metric = column.metrics[answer.metric] as LiveMetric | undefined;
  const { gap } = column;
  const nothing = gap ? null : 0;
  if (!column.ready) answer.not_ready.push(answer.times.length);
  answer.times.push(column.time);
  answer.seconds.push(gap ? 0 : column.seconds);
  if (answer.kind === 'counter') {
    series.value?.push(metric !== undefined && 'value' in metric ? metric.value : nothing);
  } else {
    const durations = metric !== undefined && 'buckets' in metric ? metric : undefined;
    series.count?.push(durations?.count ?? nothing);
    series.sum?.push(durations?.sum ?? nothing);
    series.buckets?.push(durations?.buckets ?? (gap ? null : []));
  }
  trim(answer, keepMs);
}

/** Appends the columns of `more`, a newer answer to the same query. Matches series by their labels. */
export function extend(answer: HistoryAnswer, more: HistoryAnswer, keepMs: number): void {
  const before = answer.times.length;
  const key = ({ labels }: HistorySeries) => JSON.stringify(labels);
  const newer = new Map(more.series.map((series) => [key(series), series]));
  for (const series of more.series) {
    if (!answer.series.some((one) => key(one) === key(series)))
      answer.series.push({ ...emptySeries(answer), labels: series.labels });
  }
  answer.not_ready.push(...more.not_ready.map((i) => i + before));
  answer.times.push(...more.times);
  answer.seconds.push(...more.seconds);
  for (const series of answer.series) {
    const addition = newer.get(key(series));
    const absent = more.seconds.map((seconds) => (seconds === 0 ? null : 0));
    series.value?.push(...(addition?.value ?? absent));
    series.count?.push(...(addition?.count ?? absent));
    series.sum?.push(...(addition?.sum ?? absent));
    series.buckets?.push(...(addition?.buckets ?? absent.map((one) => (one === null ? null : []))));
  }
  trim(answer, keepMs);
}

function emptySeries({ kind, seconds }: HistoryAnswer): HistorySeries {
  const zeros = () => seconds.map((one) => (one === 0 ? null : 0));
  if (kind === 'counter') return { labels: {}, value: zeros() };
  return {
    labels: {},
    count: zeros(),
    sum: zeros(),
    buckets: seconds.map((one) => (one === 0 ? null : [])),
  };
}

function trim(answer: HistoryAnswer, keepMs: number): void {
  const since = (answer.times.at(-1) ?? 0) - keepMs;
  let old = 0;
  while (answer.times[old] <= since) old++;
  if (old === 0) return;
  answer.times.splice(0, old);
  answer.seconds.splice(0, old);
  answer.not_ready = answer.not_ready.map((i) => i - old).filter((i) => i >= 0);
  for (const series of answer.series) {
    for (const column of [series.value, series.count, series.sum, series.buckets]) column?.splice(0, old);
  }
}
