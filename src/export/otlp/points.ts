/** Converts snapshots to OpenTelemetry's cumulative metrics, with the families and series of a scrape. */
import { type HrTime, ValueType } from '@opentelemetry/api';
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type ExponentialHistogram,
  type Histogram,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import { HISTOGRAM_SCALE } from '../../model/histogram-grid.ts';
import type { HistogramSnapshot, MetricSnapshot } from '../../model/metric.ts';
import type { OtlpHistograms } from '../../model/otlp.ts';
import { classicCounts, exponentialCounts } from '../../model/snapshot-views.ts';
import { type ClassicHistogram, classicHistograms } from '../classic-histograms.ts';
import { byName, type FamilyPart, labelPairs, typeOf, withoutTotal } from '../families.ts';
import { type HistogramShape, shapeOf } from '../histogram-shape.ts';
import type { SampleFamily } from '../sample-family.ts';

/** Converts the families that `Renderer.render` (exposition/text.ts) would write. Omits families without series. */
export type PointMaker = (
  snapshots: readonly MetricSnapshot[],
  foreign: readonly SampleFamily[],
  now: HrTime,
) => MetricData[];

export interface PointOptions {
  histograms: OtlpHistograms;
  constantLabels: Readonly<Record<string, string>>;
  /** When the program began to count. */
  start: HrTime;
}

type Kind = ReturnType<typeof typeOf>;
type View<Value> = (family: FamilyPart['family'], series: number) => Value;

export function createPointMaker({ histograms, constantLabels, start }: PointOptions): PointMaker {
  /** Start time and count of each series in the last push. */
  let before = new Map<string, { start: HrTime; count: number }>();
  let after: typeof before = new Map();
  let lastPush = start;

  const attributesOf = (names: readonly string[], values: readonly string[]) =>
    Object.fromEntries(labelPairs(constantLabels, names, values));

  /** Returns the start time of a series. A new series, or one whose count has decreased, starts at the last push. */
  const startOf = (series: string, count: number): HrTime => {
    const previous = before.get(series);
    const began = previous === undefined || count < previous.count ? lastPush : previous.start;
    after.set(series, { start: began, count });
    return began;
  };

  const points = <Value>(parts: readonly FamilyPart[], now: HrTime, view: View<Value>) =>
    parts.flatMap(({ family, repeated }) => {
      const { spec, labelValues, seriesCount, labelsFrom, values, histogram } = family;
      if (labelsFrom !== 0) throw new Error(`${spec.name}: an incremental snapshot was not expanded`);
      const width = spec.labels.length;
      const made: DataPoint<Value>[] = [];
      for (let s = 0; s < seriesCount; s++) {
        const count = histogram === undefined ? values[s] : histogram.counts[s];
        // NaN marks an absent series.
        if (Number.isNaN(count) || repeated?.has(s)) continue;
        const attributes = attributesOf(spec.labels, labelValues.slice(s * width, (s + 1) * width));
        // A gauge has no start time, but the SDK's encoder requires one.
        const startTime =
          typeOf(spec.kind) === 'gauge' ? now : startOf(spec.name + JSON.stringify(attributes), count);
        made.push({ attributes, startTime, endTime: now, value: view(family, s) });
      }
      return made;
    });

  const merged = (parts: readonly FamilyPart[], now: HrTime): MetricData => {
    const { spec } = parts[0].family;
    const kind = typeOf(spec.kind);
    const common = commonOf(spec.name, spec.help, kind);
    if (kind !== 'histogram') {
      const dataPoints = points(parts, now, ({ values }, s) => values[s] / spec.divisor);
      return numbers(common, kind, dataPoints);
    }
    const shape = shapeOf(spec);
    const views = <Value>(view: (shape: HistogramShape, data: HistogramSnapshot, s: number) => Value) =>
      points(parts, now, ({ histogram }, s) => view(shape, histogram as HistogramSnapshot, s));
    return histograms === 'explicit_bucket_histogram'
      ? { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints: views(explicitView) }
      : { ...common, dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM, dataPoints: views(exponentialView) };
  };

  /** Converts a family of another library. Histograms keep their own bounds, regardless of the option `histograms`. */
  const foreignMetric = ({ name, help, kind, samples }: SampleFamily, now: HrTime): MetricData => {
    const common = commonOf(name, help, kind);
    const point = <Value>(labels: Readonly<Record<string, string>>, value: Value) => ({
      attributes: attributesOf(Object.keys(labels), Object.values(labels)),
      startTime: kind === 'gauge' ? now : start,
      endTime: now,
      value,
    });
    if (kind !== 'histogram') {
      const dataPoints = samples.map(({ labels, value }) => point(labels, value));
      return numbers(common, kind, dataPoints);
    }
    const dataPoints = Array.from(classicHistograms(samples), (one) => point(one.labels, foreignView(one)));
    return { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  };

  return (snapshots, foreign, now) => {
    after = new Map();
    const metrics = byName(snapshots).map((parts) => merged(parts, now));
    for (const family of foreign) metrics.push(foreignMetric(family, now));
    before = after;
    lastPush = now;
    return metrics.filter(({ dataPoints }) => dataPoints.length > 0);
  };
}

/**
 * Prometheus can restore the names of a scrape from these names and units: it appends the unit if the name lacks it,
 * `_ratio` to gauges with unit 1, and `_total` to monotonic sums (prometheus/otlptranslator, metric_namer.go).
 */
export function commonOf(name: string, help: string, kind: Kind) {
  const shown = withoutTotal(name, kind);
  let unit = '';
  if (shown.endsWith('_seconds')) unit = 's';
  else if (shown.endsWith('_bytes')) unit = 'By';
  else if (shown.endsWith('_ratio') && kind === 'gauge') unit = '1';
  const descriptor = { name: shown, unit, description: help, valueType: ValueType.DOUBLE };
  return { descriptor, aggregationTemporality: AggregationTemporality.CUMULATIVE } as const;
}

function numbers(
  common: ReturnType<typeof commonOf>,
  kind: 'counter' | 'gauge',
  dataPoints: DataPoint<number>[],
): MetricData {
  return kind === 'counter'
    ? { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { ...common, dataPointType: DataPointType.GAUGE, dataPoints };
}

/** Converts cumulative counts (`below`) to counts per bucket. The last bucket counts values above all bounds. */
function explicit(bounds: number[], below: ArrayLike<number>, count: number, sum: number): Histogram {
  const counts = [];
  let before = 0;
  for (let i = 0; i < bounds.length; i++) {
    counts.push(below[i] - before);
    before = below[i];
  }
  counts.push(count - before);
  return { buckets: { boundaries: bounds, counts }, count, sum };
}

function explicitView({ bounds, grid, counts }: HistogramShape, data: HistogramSnapshot, s: number) {
  classicCounts(grid, data, s, counts);
  return explicit(bounds, counts, data.counts[s], data.sumsNs[s] / grid.divisor);
}

function foreignView({ buckets, count, sum }: ClassicHistogram): Histogram {
  const below = buckets.map(({ cumulativeCount }) => cumulativeCount);
  return explicit(
    buckets.map(({ bound }) => bound),
    below,
    count,
    sum,
  );
}

/** OpenTelemetry's bucket i contains (2^(i/8), 2^((i+1)/8)], so its index is one lower than in Prometheus. */
function exponentialView({ grid }: HistogramShape, data: HistogramSnapshot, s: number): ExponentialHistogram {
  const bucketCounts: number[] = [];
  let offset = 0;
  const zeroCount = exponentialCounts(grid, data, s, (index, count) => {
    if (bucketCounts.length === 0) offset = index - 1;
    while (bucketCounts.length < index - 1 - offset) bucketCounts.push(0);
    bucketCounts.push(count);
  });
  return {
    scale: HISTOGRAM_SCALE,
    count: data.counts[s],
    sum: data.sumsNs[s] / grid.divisor,
    zeroCount,
    positive: { offset, bucketCounts },
    // The SDK's encoder requires this field.
    negative: { offset: 0, bucketCounts: [] },
  };
}
