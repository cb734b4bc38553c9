/** Computes the exported buckets of a histogram series from its fine buckets (see histogram-grid.ts). */
import { FINE_BLOCK_BITS, FINE_BLOCK_SIZE, type HistogramGrid, ZERO_BUCKET } from './histogram-grid.ts';
import type { HistogramSnapshot } from './metric.ts';

/** Writes the cumulative count at each classic bound of a series to `out`. */
export function classicCounts(
  grid: HistogramGrid,
  data: HistogramSnapshot,
  series: number,
  out: Float64Array,
): void {
  const first = series * grid.blocksPerSeries;
  let total = 0;
  let bound = 0;
  for (let b = 0; b < grid.blocksPerSeries && bound < out.length; b++) {
    const block = data.directory[first + b] << FINE_BLOCK_BITS;
    const lastFine = ((b + 1) << FINE_BLOCK_BITS) - 1;
    if (block === 0) {
      while (bound < out.length && grid.classicFine[bound] <= lastFine) out[bound++] = total;
      continue;
    }
    for (let i = 0; i < FINE_BLOCK_SIZE; i++) {
      total += data.blocks[block + i];
      while (grid.classicFine[bound] === (b << FINE_BLOCK_BITS) + i) out[bound++] = total;
    }
  }
}

/**
 * Visits the non-empty exponential buckets of a series in ascending order. Bucket i contains (2^((i-1)/8), 2^(i/8)]
 * seconds, as in Prometheus; OpenTelemetry's index is one lower. Returns the number of recorded zeros.
 */
export function exponentialCounts(
  grid: HistogramGrid,
  data: HistogramSnapshot,
  series: number,
  visit: (index: number, count: number) => void,
): number {
  const first = series * grid.blocksPerSeries;
  let zeroes = 0;
  let index = ZERO_BUCKET;
  let count = 0;
  for (let b = 0; b < grid.blocksPerSeries; b++) {
    const block = data.directory[first + b] << FINE_BLOCK_BITS;
    if (block === 0) continue;
    for (let i = 0; i < FINE_BLOCK_SIZE; i++) {
      const here = data.blocks[block + i];
      if (here === 0) continue;
      const at = grid.exponentialIndex[(b << FINE_BLOCK_BITS) + i];
      if (at === ZERO_BUCKET) {
        zeroes = here;
        continue;
      }
      if (at !== index && count > 0) {
        visit(index, count);
        count = 0;
      }
      index = at;
      count += here;
    }
  }
  if (count > 0) visit(index, count);
  return zeroes;
}
