/** Answers queries about the history. A column contains what changed in a period of time. */
import type { HistoryAnswer, HistoryIndex, HistorySeries, LiveColumn, LiveMetric } from '../model/history.ts';
import type { HistoryFamily } from './catalogue.ts';
import { bucketOfCode } from './column.ts';
import type { HistoryData } from './history.ts';
import type { Column, Columns } from './ring.ts';
import { addFamily, countOf, type Sum } from './sums.ts';

export interface HistoryQuery {
  family: HistoryFamily;
  ring: Columns;
  /** Labels to group by. All series with the same values of these labels are added up. */
  by: readonly string[];
  /** Label values that a series must have. */
  where: readonly (readonly [label: string, value: string])[];
  /** Include only columns that end after this time (ms, like `endMs`). Undefined: no limit. */
  sinceMs: number | undefined;
  /** Include only columns that end at or before this time. Undefined: no limit. */
  untilMs: number | undefined;
  /** Maximum number of groups. The smallest groups beyond the limit are summed into `rest`. */
  limit: number;
  /** Whether to add up all columns into a single one. */
  fold: boolean;
}

export function historyIndex(data: HistoryData): HistoryIndex {
  return {
    axis: data.axis,
    resolutions: data.rings.map(({ name, stepMs, keepMs, columns }) => ({
      name,
      step_seconds: stepMs / 1000,
      keep_seconds: keepMs / 1000,
      columns: columns.length,
      from: columns.length === 0 ? null : columns[0].endMs - columns[0].spanMs,
      to: columns.at(-1)?.endMs ?? null,
    })),
    metrics: data.catalogue.families().map(({ spec, series }) => ({
      name: spec.name,
      help: spec.help,
      kind: spec.kind === 'histogram' ? 'histogram' : 'counter',
      unit: spec.unit,
      labels: [...spec.labels],
      series: series.length,
    })),
  };
}

export function queryHistory(query: HistoryQuery): HistoryAnswer {
  const { family, ring, by, fold, sinceMs, untilMs } = query;
  const chosen = ring.columns.filter(
    ({ endMs }) => (sinceMs === undefined || endMs > sinceMs) && (untilMs === undefined || endMs <= untilMs),
  );
  const groups = makeGroups(query);
  const seen = (column: Column) => column.bytes !== undefined;
  const parts = fold ? [chosen] : chosen.map((column) => [column]);
  const columns = parts.map((part) => {
    if (!part.some(seen)) return undefined;
    const sums = new Map<number, Sum>();
    for (const { bytes } of part) if (bytes !== undefined) addFamily(bytes, family, groups.of, sums);
    return sums;
  });
  const ends = parts.flatMap((part) => part.at(-1)?.endMs ?? []);
  const spanOf = (part: readonly Column[]) =>
    part.reduce((sum, column) => sum + (seen(column) ? column.spanMs : 0), 0) / 1000;
  return {
    metric: family.spec.name,
    kind: family.grid === undefined ? 'counter' : 'histogram',
    unit: family.spec.unit,
    by: [...by],
    resolution: ring.name,
    step_seconds: ring.stepMs / 1000,
    times: ends,
    seconds: ends.length === 0 ? [] : parts.map(spanOf),
    not_ready: parts.flatMap((part, i) => (part.some(({ isReady }) => !isReady) ? [i] : [])),
    ...largestFirst(columns.slice(0, ends.length), groups.names, family, query.limit),
  };
}

/** Groups series by their values of the labels `by`. `of` returns undefined for a series that fails `where`. */
function makeGroups({ family, by, where }: HistoryQuery) {
  const { labels } = family.spec;
  const at = by.map((label) => labels.indexOf(label));
  const conditions = where.map(([label, value]) => [labels.indexOf(label), value] as const);
  const names: Record<string, string>[] = [];
  const byKey = new Map<string, number>();
  const bySeries = new Map<number, number | undefined>();
  const groupOf = (series: number): number | undefined => {
    const values = family.series[series];
    if (conditions.some(([i, value]) => values[i] !== value)) return undefined;
    const chosen = at.map((i) => values[i]);
    const key = JSON.stringify(chosen);
    let group = byKey.get(key);
    if (group === undefined) {
      group = names.push(Object.fromEntries(by.map((label, i) => [label, chosen[i]]))) - 1;
      byKey.set(key, group);
    }
    return group;
  };
  return {
    names,
    of: (series: number): number | undefined => {
      if (!bySeries.has(series)) bySeries.set(series, groupOf(series));
      return bySeries.get(series);
    },
  };
}

type Sums = ReadonlyMap<number, Sum> | undefined;

function largestFirst(
  columns: readonly Sums[],
  names: readonly Record<string, string>[],
  family: HistoryFamily,
  limit: number,
): Pick<HistoryAnswer, 'series' | 'rest'> {
  const totals = names.map(() => 0);
  for (const sums of columns) for (const [group, { sum }] of sums ?? []) totals[group] += sum;
  const order = names.map((_, group) => group).sort((a, b) => totals[b] - totals[a]);
  const seriesOf = (groups: readonly number[]) =>
    seriesFrom(
      columns.map((sums) => sums && groups.flatMap((group) => sums.get(group) ?? [])),
      family,
    );
  const rest = order.slice(limit);
  return {
    series: order.slice(0, limit).map((group) => ({ labels: names[group], ...seriesOf([group]) })),
    ...(rest.length === 0 ? {} : { rest: { groups: rest.length, ...seriesOf(rest) } }),
  };
}

function seriesFrom(
  columns: readonly (readonly Sum[] | undefined)[],
  family: HistoryFamily,
): Omit<HistorySeries, 'labels'> {
  const { divisor } = family.spec;
  const total = (sums: readonly Sum[]) => sums.reduce((sum, part) => sum + part.sum, 0);
  if (family.grid === undefined)
    return { value: columns.map((sums) => sums && total(sums) / divisor).map(orNull) };
  return {
    count: columns.map((sums) => sums?.reduce((count, sum) => count + countOf(sum), 0)).map(orNull),
    sum: columns.map((sums) => sums && total(sums) / divisor).map(orNull),
    buckets: columns.map((sums) => sums && bucketsOf(sums)).map(orNull),
  };
}

function orNull<T>(value: T | undefined): T | null {
  return value ?? null;
}

/** Returns alternating indexes and counts of exponential buckets, in ascending order of the index. */
function bucketsOf(sums: readonly Sum[]): number[] {
  const counts = new Map<number, number>();
  for (const sum of sums)
    for (const [code, count] of sum.counts) counts.set(code, (counts.get(code) ?? 0) + count);
  return [...counts].sort(([a], [b]) => a - b).flatMap(([code, count]) => [bucketOfCode(code), count]);
}

/** Converts a column to the data of an event of `/api/v1/live`: the sum of each metric over its series. */
export function liveColumn(
  { endMs, spanMs, bytes, isReady }: Column,
  families: readonly HistoryFamily[],
): LiveColumn {
  const head = { time: endMs, seconds: spanMs / 1000, ready: isReady };
  if (bytes === undefined) return { ...head, gap: true, metrics: {} };
  const metrics: Record<string, LiveMetric> = {};
  for (const family of families) {
    const sums = new Map<number, Sum>();
    addFamily(bytes, family, () => 0, sums);
    const sum = sums.get(0);
    if (sum === undefined) continue;
    metrics[family.spec.name] =
      family.grid === undefined
        ? { value: sum.sum / family.spec.divisor }
        : { count: countOf(sum), sum: sum.sum / family.spec.divisor, buckets: bucketsOf([sum]) };
  }
  return { ...head, gap: false, metrics };
}
