/** Computes a heat map's counts by column (a period of time) and row (a range of durations), and quantiles. */
import type { HistoryAnswer, HistorySeries } from '../model/history.ts';
import { type Buckets, boundsOf, quantile, type Rows, rowCounts, rowsOf } from './buckets.ts';

export interface HeatData {
  axis: 'time' | 'recording';
  /** Visible range in milliseconds. */
  from: number;
  to: number;
  /** End of each column in milliseconds. */
  times: readonly number[];
  /** Seconds that each column covers; 0 for a gap. */
  seconds: readonly number[];
  /** Length of a normal column in seconds. */
  stepSeconds: number;
  /** Ends of the columns during which the agent was not ready. */
  notReady: ReadonlySet<number>;
  buckets: readonly (Buckets | null)[];
}

export interface HeatColumns {
  rows: Rows;
  counts: readonly (Float64Array | undefined)[];
  /** Largest count of any cell. */
  most: number;
  p50: (number | null)[];
  p99: (number | null)[];
  total: number;
}

export interface HeatCell {
  column: number;
  row: number;
}

export function heatData(
  answer: Pick<HistoryAnswer, 'times' | 'seconds' | 'not_ready' | 'step_seconds'>,
  series: Pick<HistorySeries, 'buckets'> | undefined,
  frame: Pick<HeatData, 'axis' | 'from' | 'to'>,
): HeatData {
  return {
    ...frame,
    times: answer.times,
    seconds: answer.seconds,
    stepSeconds: answer.step_seconds,
    notReady: new Set(answer.not_ready.map((i) => answer.times[i])),
    buckets: series?.buckets ?? answer.times.map((_, i) => (answer.seconds[i] === 0 ? null : [])),
  };
}

export function heatColumns(data: HeatData, mostRows: number): HeatColumns {
  const rows = rowsOf(data.buckets, mostRows);
  const counts = data.buckets.map((buckets) => (buckets === null ? undefined : rowCounts(buckets, rows)));
  let most = 0;
  let total = 0;
  for (const column of counts) {
    for (const count of column ?? []) {
      most = Math.max(most, count);
      total += count;
    }
  }
  const line = (q: number) => data.buckets.map((buckets) => (buckets && quantile(buckets, q)) ?? null);
  return { rows, counts, most, total, p50: line(0.5), p99: line(0.99) };
}

/** Returns the start of a column in milliseconds. A gap starts where the previous column ends. */
export function startOf({ times, seconds, stepSeconds }: HeatData, column: number): number {
  if (seconds[column] === 0 && column > 0) return times[column - 1];
  return times[column] - (seconds[column] || stepSeconds) * 1000;
}

export function columnAt(data: HeatData, ms: number): number | undefined {
  const column = data.times.findIndex((end, i) => ms <= end && ms > startOf(data, i));
  return column < 0 ? undefined : column;
}

export function rowAt({ rows }: HeatColumns, seconds: number): number | undefined {
  const row = Math.ceil((Math.log2(seconds) * 8) / rows.width - 1e-9) - rows.first;
  return row >= 0 && row < rows.count ? row : undefined;
}

export function cellBounds({ rows }: HeatColumns, { row }: HeatCell): [low: number, high: number] {
  return boundsOf(rows.first + row, rows.width);
}
