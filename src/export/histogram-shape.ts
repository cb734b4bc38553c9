/** Precomputes what renderers need about the buckets of a histogram, once per set of buckets. */
import { gridOf, type HistogramGrid } from '../model/histogram-grid.ts';
import type { MetricSpec } from '../model/metric.ts';

export interface HistogramShape {
  bounds: number[];
  grid: HistogramGrid;
  /** Scratch memory for the cumulative counts of one series. */
  counts: Float64Array;
}

const shapes = new WeakMap<HistogramGrid, HistogramShape>();

export function shapeOf(spec: Pick<MetricSpec, 'bounds' | 'divisor'>): HistogramShape {
  const grid = gridOf(spec);
  let shape = shapes.get(grid);
  if (shape === undefined) {
    shape = { bounds: [...spec.bounds], grid, counts: new Float64Array(spec.bounds.length) };
    shapes.set(grid, shape);
  }
  return shape;
}
