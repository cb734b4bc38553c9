/**
 * Spans that buckets of histograms point at: traces enter when they can be looked up, by each bucket the newest one
 * leaves. Buckets are the classic ones; what a family counts in is known when it is rendered, so until then an exemplar
 * waits with its series. Where traces that can be looked up are forgotten again, so are their exemplars; no older one
 * takes the place, for Prometheus refuses those. A family without any costs one look-up a scrape.
 */
import { fineBucket, type HistogramGrid, makeHistogramGrid } from '../model/histogram-grid.ts';
import type { FamilySnapshot } from '../model/metric.ts';
import type { TraceRecord, WallTime } from '../model/span.ts';

export interface Exemplar {
  /** 32 and 16 hex digits. */
  traceId: string;
  spanId: string;
  valueNs: number;
  /** When it ended. */
  at: WallTime;
}

/** By the number of the bucket: that of its upper bound, and one more for what lies beyond the last. */
export type BucketExemplars = readonly (Exemplar | undefined)[];

export interface ExemplarsOptions {
  /** Series with exemplars; those that have got none for longest go. */
  maxSeries?: number;
  /** Ids of the root spans of traces that can be looked up now; by default all that entered, from then on. */
  roots?: () => ReadonlySet<string>;
}

export interface Exemplars {
  /** The newest last. */
  add(traces: readonly TraceRecord[]): void;
  /** By index of the series; undefined where the family has none. Series that are gone are forgotten. */
  of(family: FamilySnapshot): ReadonlyMap<number, BucketExemplars> | undefined;
  /** Series that have some. */
  size(): number;
}

const MAX_SERIES = 4096;
/** Of a series, until it is rendered. */
const MAX_WAITING = 256;
/** A series that was missing in so many renderings is gone: one may have been asked for before the series was. */
const MISSES = 3;

interface Pointing extends Exemplar {
  rootId: string;
}

interface OfSeries {
  waiting: Pointing[];
  buckets: (Pointing | undefined)[];
  misses: number;
}

export function createExemplars({ maxSeries = MAX_SERIES, roots }: ExemplarsOptions = {}): Exemplars {
  const metrics = new Map<string, Map<string, OfSeries>>();
  const grids = new Map<string, HistogramGrid>();
  /** Series by their labels, for as long as the array of label values is the same object. */
  const indexes = new WeakMap<readonly string[], Map<string, number>>();
  let size = 0;

  const addOne = (metric: string, key: string, exemplar: Pointing): void => {
    let series = metrics.get(metric);
    if (series === undefined) {
      series = new Map();
      metrics.set(metric, series);
    }
    const known = series.get(key);
    const of = known ?? { waiting: [], buckets: [], misses: 0 };
    if (known !== undefined) series.delete(key);
    else if (size >= maxSeries) forgetOne(series);
    else size++;
    // The one at the end of the map is the one that has got something last.
    series.set(key, of);
    of.waiting.push(exemplar);
    if (of.waiting.length > MAX_WAITING) of.waiting.shift();
  };

  const forgetOne = (preferred: Map<string, OfSeries>): void => {
    const from = preferred.size > 0 ? preferred : [...metrics.values()].find((series) => series.size > 0);
    const eldest = from?.keys().next().value;
    if (eldest !== undefined) from?.delete(eldest);
  };

  const forget = (series: Map<string, OfSeries>, key: string): void => {
    series.delete(key);
    size--;
  };

  const gridOf = (bounds: readonly number[]): HistogramGrid => {
    const key = bounds.join();
    let grid = grids.get(key);
    if (grid === undefined) {
      grid = makeHistogramGrid(bounds);
      grids.set(key, grid);
    }
    return grid;
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
    of: (family) => {
      const series = metrics.get(family.spec.name);
      if (series === undefined || family.histogram === undefined) return undefined;
      const index = indexOf(family);
      const grid = gridOf(family.spec.bounds);
      const known = roots?.();
      const isThere = (one: Pointing | undefined) =>
        one !== undefined && (known === undefined || known.has(one.rootId));
      const found = new Map<number, BucketExemplars>();
      for (const [key, of] of series) {
        const s = index.get(key);
        if (s === undefined || s >= family.seriesCount) {
          if (++of.misses < MISSES) continue;
          forget(series, key);
          continue;
        }
        of.misses = 0;
        for (const one of of.waiting) if (isThere(one)) of.buckets[classicBucket(grid, one.valueNs)] = one;
        of.waiting = [];
        of.buckets = of.buckets.map((one) => (isThere(one) ? one : undefined));
        if (of.buckets.some(isThere)) found.set(s, of.buckets);
        else forget(series, key);
      }
      if (series.size === 0) metrics.delete(family.spec.name);
      return found.size === 0 ? undefined : found;
    },
    size: () => size,
  };
}

/** Seconds since 1970, as a number: the formats have milliseconds. */
export function exemplarSeconds([seconds, nanoseconds]: WallTime): number {
  return seconds + Math.floor(nanoseconds / 1e6) / 1e3;
}

function keyOf(labelValues: readonly string[]): string {
  return labelValues.join('\0');
}

/** Number of the first bound that a value does not exceed, or of how many there are. */
function classicBucket(grid: HistogramGrid, ns: number): number {
  const fine = fineBucket(grid, ns);
  let bucket = 0;
  while (bucket < grid.classicFine.length && grid.classicFine[bucket] < fine) bucket++;
  return bucket;
}
