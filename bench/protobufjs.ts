/**
 * Encodes the same messages with protobufjs, to compare it with our protobuf writer. Keeps label objects between
 * renders, as our writer does.
 */
import { makeHistogramGrid } from '../src/model/histogram-grid.ts';
import type { FamilySnapshot, MetricSnapshot } from '../src/model/metric.ts';
import { classicCounts, exponentialCounts } from '../src/model/snapshot-views.ts';
import { MetricFamilyType } from '../test/support/protobuf.ts';

interface Pair {
  name: string;
  value: string;
}

const TYPES = { counter: 0, gauge: 1, max_gauge: 1, histogram: 4 } as const;

export function makeProtobufjsRenderer(): (snapshot: MetricSnapshot) => Buffer {
  const labels = new WeakMap<readonly string[], Pair[][]>();
  const grids = new Map<string, ReturnType<typeof makeHistogramGrid>>();

  const labelsOf = ({ spec, labelValues, seriesCount }: FamilySnapshot): Pair[][] => {
    let all = labels.get(labelValues);
    if (all === undefined) {
      const width = spec.labels.length;
      all = Array.from({ length: seriesCount }, (_, s) =>
        spec.labels.map((name, i) => ({ name, value: labelValues[s * width + i] })),
      );
      labels.set(labelValues, all);
    }
    return all;
  };

  const histogramOf = (family: FamilySnapshot, s: number) => {
    const data = family.histogram!;
    const { bounds } = family.spec;
    let grid = grids.get(bounds.join());
    if (grid === undefined) {
      grid = makeHistogramGrid(bounds);
      grids.set(bounds.join(), grid);
    }
    const counts = new Float64Array(bounds.length);
    classicCounts(grid, data, s, counts);
    const positiveSpan: { offset: number; length: number }[] = [];
    const positiveDelta: number[] = [];
    let next = 0;
    let before = 0;
    const zeroCount = exponentialCounts(grid, data, s, (index, count) => {
      const last = positiveSpan.at(-1);
      if (last === undefined || index !== next) positiveSpan.push({ offset: index - next, length: 1 });
      else last.length++;
      next = index + 1;
      positiveDelta.push(count - before);
      before = count;
    });
    return {
      sampleCount: data.counts[s],
      sampleSum: data.sumsNs[s] / 1e9,
      bucket: bounds.map((upperBound, b) => ({ cumulativeCount: counts[b], upperBound })),
      ...{ schema: 3, zeroThreshold: 1e-128, zeroCount, positiveSpan, positiveDelta },
    };
  };

  return (snapshot) => {
    const parts = snapshot.families
      .filter(({ seriesCount }) => seriesCount > 0)
      .map((family) => {
        const { name, help, kind, divisor } = family.spec;
        const pairs = labelsOf(family);
        const metric = pairs.map((label, s) => {
          if (kind === 'histogram') return { label, histogram: histogramOf(family, s) };
          const value = { value: family.values[s] / divisor };
          return kind === 'counter' ? { label, counter: value } : { label, gauge: value };
        });
        return MetricFamilyType.encodeDelimited({ name, help, type: TYPES[kind], metric }).finish();
      });
    return Buffer.concat(parts);
  };
}
