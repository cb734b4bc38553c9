/**
 * Keeps one exemplar per classic histogram bucket: the newest span whose trace is still in memory. `add` does not know
 * the bounds, so new exemplars wait until `ofFamily` sorts them into buckets. The exemplars of an evicted trace get no
 * older replacements, because Prometheus would reject these as out of order.
 */
import { fineBucket, type HistogramGrid } from '../model/histogram-grid.ts';
import type { FamilySnapshot } from '../model/metric.ts';
import type { TraceRecord, WallTime } from '../model/span.ts';
import { shapeOf } from './histogram-shape.ts';

export interface Exemplar {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
  valueNs: number;
  /** End of the span. */
  at: WallTime;
}

/** One element per classic bucket, in the order of the bounds. The last element is for values above the last bound. */
export type BucketExemplars = readonly (Exemplar | undefined)[];

export interface ExemplarsOptions {
  /** Maximum number of series with exemplars. Further series replace old ones, if possible of the same metric. */
  maxSeries?: number;
  /** Returns the root span IDs of all traces in memory. If absent, no trace is ever evicted. */
  roots?: () => ReadonlySet<string>;
}

export interface Exemplars {
  /** Adds the exemplars of `traces`, which must be sorted from oldest to newest. */
  add(traces: readonly TraceRecord[]): void;
  /** Returns exemplars by series index, or undefined if the family has none. */
  ofFamily(family: FamilySnapshot): ReadonlyMap<number, BucketExemplars> | undefined;
  /** Number of series with exemplars. */
  size(): number;
}

const MAX_SERIES = 4096;
/** Maximum number of new exemplars per series between two calls of `ofFamily`. Newer ones replace the oldest. */
const MAX_WAITING = 256;
/** Drop the exemplars of a series after this many snapshots without it. A snapshot can be older than the series. */
const MISSES = 3;

interface Pointing extends Exemplar {
  rootId: string;
}

interface SeriesExemplars {
  waiting: Pointing[];
  buckets: (Pointing | undefined)[];
  misses: number;
}

export function createExemplars({ maxSeries = MAX_SERIES, roots }: ExemplarsOptions = {}): Exemplars {
  const metrics = new Map<string, Map<string, SeriesExemplars>>();
  /** Index of each series by its labels. Stays valid, because `labelValues` only grows (metrics/snapshot-reader.ts). */
  const indexes = new WeakMap<readonly string[], Map<string, number>>();
  let size = 0;

  const addOne = (metric: string, key: string, exemplar: Pointing): void => {
    let series = metrics.get(metric);
    if (series === undefined) {
      series = new Map();
      metrics.set(metric, series);
    }
    const existing = series.get(key);
    const entry = existing ?? { waiting: [], buckets: [], misses: 0 };
    if (existing !== undefined) series.delete(key);
    else if (size >= maxSeries) forgetOne(series);
    else size++;
    // Keeps the map ordered by last update, so that `forgetOne` can evict the first entry.
    series.set(key, entry);
    entry.waiting.push(exemplar);
    if (entry.waiting.length > MAX_WAITING) entry.waiting.shift();
  };

  const forgetOne = (preferred: Map<string, SeriesExemplars>): void => {
    const from = preferred.size > 0 ? preferred : [...metrics.values()].find((series) => series.size > 0);
    const eldest = from?.keys().next().value;
    if (eldest !== undefined) from?.delete(eldest);
  };

  const forget = (series: Map<string, SeriesExemplars>, key: string): void => {
    series.delete(key);
    size--;
  };

  const indexOf = (family: FamilySnapshot): Map<string, number> => {
    const { labelValues, seriesCount, spec } = family;
    let index = indexes.get(labelValues);
    if (index === undefined) {
      index = new Map();
      indexes.set(labelValues, index);
    }
    const width = spec.labels.length;
    for (let s = index.size; s < seriesCount; s++) {
      const key = keyOf(labelValues.slice(s * width, (s + 1) * width));
      index.set(key, s);
      if (index.size <= s) throw new Error(`${spec.name}: two series have the same labels`);
    }
    return index;
  };

  return {
    add: (traces) => {
      for (const { traceId, spans, exemplars } of traces) {
        const rootId = spans[0].spanId;
        for (const { metric, labelValues, valueNs, spanId } of exemplars) {
          const at = spans.find((span) => span.spanId === spanId)?.end;
          if (at !== undefined) addOne(metric, keyOf(labelValues), { traceId, spanId, valueNs, at, rootId });
        }
      }
    },
    ofFamily: (family) => {
      const series = metrics.get(family.spec.name);
      if (series === undefined || family.histogram === undefined) return undefined;
      const index = indexOf(family);
      const { grid } = shapeOf(family.spec);
      const retained = roots?.();
      const isThere = (one: Pointing | undefined) =>
        one !== undefined && (retained === undefined || retained.has(one.rootId));
      const bySeries = new Map<number, BucketExemplars>();
      for (const [key, entry] of series) {
        const s = index.get(key);
        if (s === undefined || s >= family.seriesCount) {
          if (++entry.misses < MISSES) continue;
          forget(series, key);
          continue;
        }
        entry.misses = 0;
        for (const one of entry.waiting)
          if (isThere(one)) entry.buckets[classicBucket(grid, one.valueNs)] = one;
        entry.waiting = [];
        entry.buckets = entry.buckets.map((one) => (isThere(one) ? one : undefined));
        if (entry.buckets.some(isThere)) bySeries.set(s, entry.buckets);
        else forget(series, key);
      }
      if (series.size === 0) metrics.delete(family.spec.name);
      return bySeries.size === 0 ? undefined : bySeries;
    },
    size: () => size,
  };
}

/** Returns seconds since 1970, truncated to milliseconds, the precision of Prometheus. */
export function exemplarSeconds([seconds, nanoseconds]: WallTime): number {
  return seconds + Math.floor(nanoseconds / 1e6) / 1e3;
}

function keyOf(labelValues: readonly string[]): string {
  return labelValues.join('\0');
}

/** Returns the index of the first bound that is at least the value, or the number of bounds if all are lower. */
function classicBucket(grid: HistogramGrid, ns: number): number {
  const fine = fineBucket(grid, ns);
  let bucket = 0;
  while (bucket < grid.classicFine.length && grid.classicFine[bucket] < fine) bucket++;
  return bucket;
}
