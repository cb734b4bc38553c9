/**
 * The buckets that every histogram counts in: the base-2 exponential buckets of scale 3 (8 per octave, bounds 2^(i/8)
 * seconds, upper bound inclusive, as in OpenTelemetry's exponential and Prometheus' native histograms), divided further
 * at the family's classic bounds. So both views are exact sums of the same counts.
 * Bounds are compared in the unit of recorded values: nanoseconds, or what `divisor` stands for.
 */
import type { MetricSpec } from './metric.ts';

export const HISTOGRAM_SCALE = 3;
const PER_OCTAVE = 2 ** HISTOGRAM_SCALE;
/** Octaves of recorded values: of nanoseconds, from 2^-30 s < 1 ns to 2^23 s, which are 97 days. */
const OCTAVES_SHOWN = 53;
/** Cells per octave of the look-up table: enough that a cell rarely contains more than one bound. */
const CELL_BITS = 6;
const OCTAVES = 54;

export interface HistogramGrid {
  /** Recorded values are divided by this to be shown. */
  divisor: number;
  /** Upper bound (inclusive) of each fine bucket in nanoseconds, ascending; the last is Infinity. */
  upperNs: Float64Array;
  /** Prometheus' native bucket index of each fine bucket. Fine bucket 0 contains only zero and has index -32768. */
  exponentialIndex: Int16Array;
  /** Upper bounds rounded down to whole nanoseconds, at most 2^31 - 1: for values that are small integers. */
  upperWholeNs: Int32Array;
  /** For each classic bound, the last fine bucket at or below it. */
  classicFine: Uint16Array;
  /** Blocks of 16 fine buckets per series. */
  blocksPerSeries: number;
  /** First fine bucket that a value in a cell can belong to. `cellOf` numbers the cells. */
  cellStart: Uint16Array;
}

export const FINE_BLOCK_BITS = 4;
export const FINE_BLOCK_SIZE = 1 << FINE_BLOCK_BITS;
/** `exponentialIndex` of the bucket that contains only zero. */
export const ZERO_BUCKET = -32768;

/**
 * Makes the grid for classic bounds as they are shown: seconds of recorded nanoseconds, unless `divisor` says otherwise
 * (ascending, positive, finite). Bucket i of the exponential ones holds (2^((i-1)/8), 2^(i/8)] of what is shown. Pure.
 */
export function makeHistogramGrid(classicBounds: readonly number[], divisor = 1e9): HistogramGrid {
  // 1e-06 * 1e9 is 1000 only after rounding, and a decimal bound that is a whole number of ns must be exact.
  const classicNs = classicBounds.map((bound) => Math.floor(Number((bound * divisor).toPrecision(12))));
  const exponentialNs: number[] = [];
  const minIndex = -Math.ceil(Math.log2(divisor)) * PER_OCTAVE;
  const maxIndex = minIndex + OCTAVES_SHOWN * PER_OCTAVE;
  for (let i = minIndex; i <= maxIndex; i++) exponentialNs.push(2 ** (i / PER_OCTAVE) * divisor);
  exponentialNs[exponentialNs.length - 1] = Number.POSITIVE_INFINITY;

  const all = [...new Set([...exponentialNs, ...classicNs])].sort((a, b) => a - b);
  const upperNs = Float64Array.from([0, ...all]);
  const upperWholeNs = Int32Array.from(upperNs, (ns) => Math.min(Math.floor(ns), 2147483647));
  const exponentialIndex = new Int16Array(upperNs.length);
  exponentialIndex[0] = ZERO_BUCKET;
  for (let f = 1, e = 0; f < upperNs.length; f++) {
    while (exponentialNs[e] < upperNs[f]) e++;
    exponentialIndex[f] = minIndex + e;
  }
  const classicFine = Uint16Array.from(classicNs, (ns) => upperNs.indexOf(ns));

  const cellStart = new Uint16Array((OCTAVES + 1) << CELL_BITS);
  for (let cell = 0, f = 0; cell < cellStart.length; cell++) {
    const lowest = lowestInCell(cell);
    while (upperNs[f] < lowest) f++;
    cellStart[cell] = f;
  }
  const blocksPerSeries = Math.ceil(upperNs.length / FINE_BLOCK_SIZE);
  return { divisor, upperNs, upperWholeNs, exponentialIndex, classicFine, blocksPerSeries, cellStart };
}

const grids = new Map<string, HistogramGrid>();

/** The grid of a histogram: the same object for all families of a thread that have the same buckets. */
export function gridOf({ bounds, divisor }: Pick<MetricSpec, 'bounds' | 'divisor'>): HistogramGrid {
  const key = `${divisor} ${bounds.join()}`;
  let grid = grids.get(key);
  if (grid === undefined) {
    grid = makeHistogramGrid(bounds, divisor);
    grids.set(key, grid);
  }
  return grid;
}

/** Smallest whole number of nanoseconds in a cell. */
function lowestInCell(cell: number): number {
  const octave = cell >> CELL_BITS;
  const within = cell & ((1 << CELL_BITS) - 1);
  return Math.ceil(2 ** octave * (1 + within / (1 << CELL_BITS)));
}

const scratch = new DataView(new ArrayBuffer(8));

/**
 * Fine bucket of a duration in whole nanoseconds. Negative values count as zero; values above the range go to the last
 * bucket. The cell comes from the exponent and the top mantissa bits; one or two steps from its first bucket find the
 * exact one. Steps use the sign instead of branches, because branches on random durations are mispredicted.
 */
export function fineBucket(grid: HistogramGrid, ns: number): number {
  if (!(ns >= 1 && ns < 2147483648)) return unusualBucket(grid, ns);
  const whole = ns | 0;
  const upper = grid.upperWholeNs;
  const octave = 31 - Math.clz32(whole);
  const top = octave >= CELL_BITS ? whole >> (octave - CELL_BITS) : whole << (CELL_BITS - octave);
  let fine = grid.cellStart[(octave << CELL_BITS) + (top & ((1 << CELL_BITS) - 1))];
  fine += (upper[fine] - whole) >>> 31;
  fine += (upper[fine] - whole) >>> 31;
  // Needed only if classic bounds are closer together than a cell.
  while (whole > upper[fine]) fine++;
  return fine;
}

/** Zero, less than a nanosecond, or more than two seconds. */
function unusualBucket(grid: HistogramGrid, ns: number): number {
  if (!(ns >= 1)) return ns > 0 ? 1 : 0;
  scratch.setFloat64(0, ns);
  const cell = (scratch.getInt32(0) >>> (20 - CELL_BITS)) - (1023 << CELL_BITS);
  let fine = grid.cellStart[Math.min(cell, grid.cellStart.length - 1)];
  while (ns > grid.upperNs[fine]) fine++;
  return fine;
}
