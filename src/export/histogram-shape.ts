import { type HistogramGrid, makeHistogramGrid } from '../model/histogram-grid.ts';
import type { MetricSpec } from '../model/metric.ts';

/** Shared by all histograms with the same buckets, in all formats. */
export interface HistogramShape {
  bounds: number[];
  grid: HistogramGrid;
  /** Scratch room for the cumulative counts of one series. */
  counts: Float64Array;
}

/** Shapes do not change, and a config has few. */
const shapes = new Map<string, HistogramShape>();

export function shapeOf({ bounds, divisor }: Pick<MetricSpec, 'bounds' | 'divisor'>): HistogramShape {
  const key = `${divisor} ${bounds.join()}`;
  let shape = shapes.get(key);
  if (shape === undefined) {
    shape = {
      bounds: [...bounds],
      grid: makeHistogramGrid(bounds, divisor),
      counts: new Float64Array(bounds.length),
    };
    shapes.set(key, shape);
  }
  return shape;
}
