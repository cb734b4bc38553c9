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
import { type ClassicHistogram, classicHistograms } from '../classic-histograms.ts';
import { byName, type FamilyPart, labelPairs, typeOf, withoutTotal } from '../families.ts';
import { type HistogramShape, shapeOf } from '../histogram-shape.ts';
import type { SampleFamily } from '../sample-family.ts';

/** Seconds and nanoseconds since 1970, the SDK's form of a time. */
export type HrTime = [number, number];

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

type Kind = ReturnType<typeof typeOf>;
type View<Value> = (family: FamilyPart['family'], series: number) => Value;

const aggregationTemporality = AggregationTemporality.CUMULATIVE;

export function createPointMaker({ histograms, constantLabels, start }: PointOptions): PointMaker {
  /** For each series of the last push: when its count began, and its value. */
  let before = new Map<string, { start: HrTime; count: number }>();
  let after: typeof before = new Map();
  let lastPush = start;

  const attributesOf = (names: readonly string[], values: readonly string[]) =>
    Object.fromEntries(labelPairs(constantLabels, names, values));

  /**
   * If a count has fallen, the series was restarted; a restart of the capture thread restarts all. A restarted or new
   * series began after the last push, the latest time that is certainly before its first count.
   */
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
        // Absent series have no points.
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
    const descriptor = describe(spec.name, spec.help, kind);
    if (kind !== 'histogram') {
      const dataPoints = points(parts, now, ({ values }, s) => values[s] / spec.divisor);
      return numbers(descriptor, kind, dataPoints);
    }
    const shape = shapeOf(spec);
    const views = <Value>(view: (shape: HistogramShape, data: HistogramSnapshot, s: number) => Value) =>
      points(parts, now, ({ histogram }, s) => view(shape, histogram as HistogramSnapshot, s));
    if (histograms === 'explicit') return explicit(descriptor, views(explicitView));
    const dataPointType = DataPointType.EXPONENTIAL_HISTOGRAM;
    return { descriptor, aggregationTemporality, dataPointType, dataPoints: views(exponentialView) };
  };

  /** Families of other libraries. Histograms keep their bounds. */
  const foreignMetric = ({ name, help, kind, samples }: SampleFamily, now: HrTime): MetricData => {
    const descriptor = describe(name, help, kind);
    const point = <Value>(labels: Readonly<Record<string, string>>, value: Value) => ({
      attributes: attributesOf(Object.keys(labels), Object.values(labels)),
      startTime: kind === 'gauge' ? now : start,
      endTime: now,
      value,
    });
    if (kind !== 'histogram')
      return numbers(
        descriptor,
        kind,
        samples.map(({ labels, value }) => point(labels, value)),
      );
    const made = Array.from(classicHistograms(samples), (one) => point(one.labels, foreignHistogram(one)));
    return explicit(descriptor, made);
  };

  return {
    make: (snapshots, foreign, now) => {
      after = new Map();
      const metrics = byName(snapshots).map((parts) => merged(parts, now));
      for (const family of foreign) metrics.push(foreignMetric(family, now));
      before = after;
      lastPush = now;
      return metrics.filter(({ dataPoints }) => dataPoints.length > 0);
    },
  };
}

/**
 * Prometheus translates these names and units back to ours, with any of its strategies that add suffixes
 * (github.com/prometheus/otlptranslator, metric_namer.go): it appends the unit if the name does not contain it, `_ratio`
 * to gauges with unit 1, and `_total` to monotonic sums.
 */
export function describe(name: string, help: string, kind: Kind): MetricData['descriptor'] {
  const shown = withoutTotal(name, kind);
  let unit = '';
  if (shown.endsWith('_seconds')) unit = 's';
  else if (shown.endsWith('_bytes')) unit = 'By';
  else if (shown.endsWith('_ratio') && kind === 'gauge') unit = '1';
  return { name: shown, unit, description: help, valueType: ValueType.DOUBLE };
}

function numbers(
  descriptor: MetricData['descriptor'],
  kind: Kind,
  dataPoints: DataPoint<number>[],
): MetricData {
  return kind === 'counter'
    ? { descriptor, aggregationTemporality, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { descriptor, aggregationTemporality, dataPointType: DataPointType.GAUGE, dataPoints };
}

function explicit(descriptor: MetricData['descriptor'], dataPoints: DataPoint<Histogram>[]): MetricData {
  return { descriptor, aggregationTemporality, dataPointType: DataPointType.HISTOGRAM, dataPoints };
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
  // Uses indexes, because iterating over a typed array allocates per element.
  for (let i = 0; i < counts.length; i++) {
    between.push(counts[i] - below);
    below = counts[i];
  }
  between.push(data.counts[s] - below);
  const buckets = { boundaries: bounds, counts: between };
  return { buckets, sum: data.sumsNs[s] / grid.divisor, count: data.counts[s] };
}

function foreignHistogram({ buckets, count, sum }: ClassicHistogram): Histogram {
  const cumulative = [...buckets.map((bucket) => bucket.cumulativeCount), count];
  const counts = cumulative.map((total, i) => total - (cumulative[i - 1] ?? 0));
  return { buckets: { boundaries: buckets.map(({ bound }) => bound), counts }, count, sum };
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
    // The SDK's encoder requires this field.
    negative: { offset: 0, bucketCounts: [] },
  };
}
