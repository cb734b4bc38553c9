/**
 * Converts snapshots to metrics of OpenTelemetry's data model (opentelemetry.io/docs/specs/otel/metrics/data-model):
 * monotonic sums, gauges, and histograms with either kind of buckets, all cumulative. Families and series are the same as
 * in a scrape.
 */
import { ValueType } from '@opentelemetry/api';
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
import { classicHistograms } from '../classic-histograms.ts';
import { byName, type FamilyPart, labelPairs, typeOf } from '../families.ts';
import { type HistogramShape, shapeOf } from '../histogram-shape.ts';
import type { SampleFamily } from '../sample-family.ts';
import { otlpName } from './names.ts';
import { createSeriesStates, type HrTime, type SeriesStates } from './series.ts';

export interface PointMaker {
  /** `snapshots` and `foreign` as in `Renderer.render` of exposition/text.ts. Omits families without series. */
  make(snapshots: readonly MetricSnapshot[], foreign: readonly SampleFamily[], now: HrTime): MetricData[];
}

export interface PointOptions {
  histograms: OtlpHistograms;
  constantLabels: Readonly<Record<string, string>>;
  /** When the program began to count. */
  start: HrTime;
}

type HistogramView<View> = (shape: HistogramShape, data: HistogramSnapshot, series: number) => View;

const NO_BUCKETS = { offset: 0, bucketCounts: [] };

export function createPointMaker({ histograms, constantLabels, start }: PointOptions): PointMaker {
  const states = createSeriesStates(constantLabels, start);

  const merged = (parts: readonly FamilyPart[], now: HrTime): MetricData => {
    const { spec } = parts[0].family;
    const { name, help, kind } = spec;
    const descriptor = describe(name, help, typeOf(kind));
    const aggregationTemporality = AggregationTemporality.CUMULATIVE;
    if (kind !== 'histogram') {
      const dataPoints = parts.flatMap((part, i) => numberPoints(part, states, i, now));
      return numbers(descriptor, kind === 'counter', dataPoints);
    }
    const shape = shapeOf(spec);
    const points = <View>(view: HistogramView<View>) =>
      parts.flatMap((part, i) => histogramPoints(part, states, i, now, (data, s) => view(shape, data, s)));
    return histograms === 'exponential'
      ? {
          descriptor,
          aggregationTemporality,
          dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM,
          dataPoints: points(exponentialView),
        }
      : {
          descriptor,
          aggregationTemporality,
          dataPointType: DataPointType.HISTOGRAM,
          dataPoints: points(explicitView),
        };
  };

  return {
    make: (snapshots, foreign, now) => {
      const metrics: MetricData[] = [];
      for (const parts of byName(snapshots)) metrics.push(merged(parts, now));
      for (const family of foreign) metrics.push(foreignMetric(family, constantLabels, start, now));
      states.pushed(now);
      return metrics.filter(({ dataPoints }) => dataPoints.length > 0);
    },
  };
}

function describe(name: string, help: string, kind: 'counter' | 'gauge' | 'histogram') {
  return { ...otlpName(name, kind), description: help, valueType: ValueType.DOUBLE };
}

function numbers(
  descriptor: MetricData['descriptor'],
  isCounter: boolean,
  dataPoints: DataPoint<number>[],
): MetricData {
  const aggregationTemporality = AggregationTemporality.CUMULATIVE;
  return isCounter
    ? { descriptor, aggregationTemporality, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { descriptor, aggregationTemporality, dataPointType: DataPointType.GAUGE, dataPoints };
}

/** Points of counters and gauges. Absent series have none. */
function numberPoints(
  { family, repeated }: FamilyPart,
  states: SeriesStates,
  place: number,
  now: HrTime,
): DataPoint<number>[] {
  const series = states.ofFamily(family, place);
  const { kind, divisor } = family.spec;
  const points: DataPoint<number>[] = [];
  for (let s = 0; s < family.seriesCount; s++) {
    const recorded = family.values[s];
    if (Number.isNaN(recorded) || repeated?.has(s)) continue;
    // A gauge has no start time, but the SDK's encoder requires one.
    const startTime = kind === 'counter' ? states.startOf(series[s], recorded) : now;
    points.push({ attributes: series[s].attributes, startTime, endTime: now, value: recorded / divisor });
  }
  return points;
}

function histogramPoints<View>(
  { family, repeated }: FamilyPart,
  states: SeriesStates,
  place: number,
  now: HrTime,
  view: (data: HistogramSnapshot, series: number) => View,
): DataPoint<View>[] {
  const series = states.ofFamily(family, place);
  const data = family.histogram;
  if (data === undefined) return [];
  const points: DataPoint<View>[] = [];
  for (let s = 0; s < family.seriesCount; s++) {
    const count = data.counts[s];
    if (Number.isNaN(count) || repeated?.has(s)) continue;
    const startTime = states.startOf(series[s], count);
    points.push({ attributes: series[s].attributes, startTime, endTime: now, value: view(data, s) });
  }
  return points;
}

/** Counts between the bounds of a scrape; the last one counts values beyond them. */
function explicitView(
  { bounds, grid, counts }: HistogramShape,
  data: HistogramSnapshot,
  s: number,
): Histogram {
  classicCounts(grid, data, s, counts);
  const between: number[] = [];
  let below = 0;
  // Indexes: iterating over a typed array allocates per element.
  for (let i = 0; i < counts.length; i++) {
    between.push(counts[i] - below);
    below = counts[i];
  }
  between.push(data.counts[s] - below);
  return {
    buckets: { boundaries: bounds, counts: between },
    sum: data.sumsNs[s] / grid.divisor,
    count: data.counts[s],
  };
}

/** OpenTelemetry's bucket i contains (2^(i/8), 2^((i+1)/8)], so its indexes are one lower than Prometheus'. */
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
    // The SDK's encoder requires it.
    negative: NO_BUCKETS,
  };
}

/** Families of other libraries. Histograms keep their bounds. */
function foreignMetric(
  { name, help, kind, samples }: SampleFamily,
  constant: Readonly<Record<string, string>>,
  start: HrTime,
  now: HrTime,
): MetricData {
  const descriptor = describe(name, help, kind);
  const attributesOf = (labels: Readonly<Record<string, string>>) =>
    Object.fromEntries(labelPairs(constant, Object.keys(labels), Object.values(labels)));
  if (kind !== 'histogram') {
    const startTime = kind === 'counter' ? start : now;
    const dataPoints = samples.map(({ labels, value }) => {
      return { attributes: attributesOf(labels), startTime, endTime: now, value };
    });
    return numbers(descriptor, kind === 'counter', dataPoints);
  }
  const dataPoints = Array.from(classicHistograms(samples), ({ labels, count, sum, buckets }) => {
    const cumulative = [...buckets.map((bucket) => bucket.cumulativeCount), count];
    const counts = cumulative.map((total, i) => total - (cumulative[i - 1] ?? 0));
    const value = { buckets: { boundaries: buckets.map(({ bound }) => bound), counts }, count, sum };
    return { attributes: attributesOf(labels), startTime: start, endTime: now, value };
  });
  const aggregationTemporality = AggregationTemporality.CUMULATIVE;
  return { descriptor, aggregationTemporality, dataPointType: DataPointType.HISTOGRAM, dataPoints };
}
