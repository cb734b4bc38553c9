/**
 * Defines the *fine buckets* of a histogram. Their bounds are those of exponential buckets and the classic bounds of
 * the metric, so that every bucket of both kinds is an exact sum of fine buckets. Exponential buckets have scale 3, as
 * in OpenTelemetry and Prometheus: 8 per octave, bounds 2^(i/8) seconds, upper bound inclusive.
 */
import type { MetricSpec } from './metric.ts';

export const HISTOGRAM_SCALE = 3;
const PER_OCTAVE = 2 ** HISTOGRAM_SCALE;
/** Octaves with exponential buckets: for nanoseconds, from 2^-30 s (below 1 ns) to 2^23 s (97 days). */
const OCTAVES_SHOWN = 53;
/** The look-up table has 2^6 cells per octave, so that few cells contain more than one bound. */
const CELL_BITS = 6;
const CELL_MASK = (1 << CELL_BITS) - 1;
const OCTAVES = 54;

export interface HistogramGrid {
  /** The exported value is the recorded value divided by this number. */
  divisor: number;
  /** Inclusive upper bound of each fine bucket in recorded units (usually ns), ascending. The last is Infinity. */
  upperNs: Float64Array;
  /** Prometheus' native bucket index of each fine bucket. Fine bucket 0 contains only zero and has index -32768. */
  exponentialIndex: Int16Array;
  /** For each classic bound: the fine bucket that ends there. */
  classicFine: Uint16Array;
  /** Number of blocks of 16 fine buckets per series. */
  blocksPerSeries: number;
  /**
   * A look-up table with two numbers per cell. `cellOf` returns the index of a value's cell. The first number is a fine
   * bucket, the second the upper bound of this bucket, rounded down. Values above this bound belong to the next bucket.
   * If the cell contains several bounds, the first number is `~bucket`, and `bucketOf` searches upwards.
   */
  cells: Int32Array;
  /**
   * Fine bucket of a recorded value. Negative values count as zero; values above the range belong to the last bucket.
   */
  bucketOf(ns: number): number;
}

export const FINE_BLOCK_BITS = 4;
export const FINE_BLOCK_SIZE = 1 << FINE_BLOCK_BITS;
/** `exponentialIndex` of the bucket that contains only zero. */
export const ZERO_BUCKET = -32768;

/**
 * Makes the grid for classic bounds (ascending, positive, finite, in the exported unit). Exponential bucket i contains
 * exported values in (2^((i-1)/8), 2^(i/8)].
 */
export function makeHistogramGrid(classicBounds: readonly number[], divisor = 1e9): HistogramGrid {
  // Bounds that are whole nanoseconds must be exact, but 3e-8 * 1e9 is not 30.
  const classicNs = classicBounds.map((bound) => Math.floor(Number((bound * divisor).toPrecision(12))));
  const exponentialNs: number[] = [];
  const minIndex = -Math.ceil(Math.log2(divisor)) * PER_OCTAVE;
  const maxIndex = minIndex + OCTAVES_SHOWN * PER_OCTAVE;
  for (let i = minIndex; i <= maxIndex; i++) exponentialNs.push(2 ** (i / PER_OCTAVE) * divisor);
  exponentialNs[exponentialNs.length - 1] = Number.POSITIVE_INFINITY;

  const all = [...new Set([...exponentialNs, ...classicNs])].sort((a, b) => a - b);
  const upperNs = Float64Array.from([0, ...all]);
  const exponentialIndex = new Int16Array(upperNs.length);
  exponentialIndex[0] = ZERO_BUCKET;
  for (let f = 1, e = 0; f < upperNs.length; f++) {
    while (exponentialNs[e] < upperNs[f]) e++;
    exponentialIndex[f] = minIndex + e;
  }
  const classicFine = Uint16Array.from(classicNs, (ns) => upperNs.indexOf(ns));

  const blocksPerSeries = Math.ceil(upperNs.length / FINE_BLOCK_SIZE);
  return { divisor, upperNs, exponentialIndex, classicFine, blocksPerSeries, ...makeSearch(upperNs) };
}

const grids = new Map<string, HistogramGrid>();

/** Returns the grid of a histogram. Families with the same bounds and divisor share one object. */
export function gridOf({ bounds, divisor }: Pick<MetricSpec, 'bounds' | 'divisor'>): HistogramGrid {
  const key = `${divisor} ${bounds.join()}`;
  let grid = grids.get(key);
  if (grid === undefined) {
    grid = makeHistogramGrid(bounds, divisor);
    grids.set(key, grid);
  }
  return grid;
}

/** Smallest whole number in a cell. */
function lowestInCell(cell: number): number {
  const octave = cell >> CELL_BITS;
  const within = cell & ((1 << CELL_BITS) - 1);
  return Math.ceil(2 ** octave * (1 + within / (1 << CELL_BITS)));
}

/** Makes the look-up table and the function that searches it. Each cell covers 1/64 of an octave. */
function makeSearch(upperNs: Float64Array): Pick<HistogramGrid, 'cells' | 'bucketOf'> {
  const lastCell = OCTAVES << CELL_BITS;
  const cells = new Int32Array((lastCell + 1) * 2);
  for (let cell = 0, fine = 0; cell <= lastCell; cell++) {
    while (upperNs[fine] < lowestInCell(cell)) fine++;
    // Classic bounds can be close together. `bucketOf` must search a cell with several bounds.
    const isSimple = fine + 1 >= upperNs.length || upperNs[fine + 1] >= lowestInCell(cell + 1) - 1;
    cells[cell * 2] = isSimple ? fine : ~fine;
    cells[cell * 2 + 1] = Math.min(Math.floor(upperNs[fine]), 2147483647);
  }
  const upwards = (from: number, ns: number): number => {
    let fine = from;
    while (ns > upperNs[fine]) fine++;
    return fine;
  };
  /** Finds the bucket of a value below 1 ns or from 2^31 ns (2.1 s). */
  const unusual = (ns: number): number => {
    if (!(ns >= 1)) return ns > 0 ? 1 : 0;
    scratch.setFloat64(0, ns);
    const cell = (scratch.getInt32(0) >>> (20 - CELL_BITS)) - (1023 << CELL_BITS);
    const fine = cells[Math.min(cell, lastCell) * 2];
    return upwards(fine < 0 ? ~fine : fine, ns);
  };
  const bucketOf = (ns: number): number => {
    if (!(ns >= 1 && ns < 2147483648)) return unusual(ns);
    const whole = ns | 0;
    const at = cellOf(whole);
    const fine = cells[at];
    return fine >= 0 ? fine + ((cells[at + 1] - whole) >>> 31) : upwards(~fine, ns);
  };
  return { cells, bucketOf };
}

/** Index in `cells` of the cell of a whole number from 1 to 2^31 - 1. */
export function cellOf(whole: number): number {
  const octave = 31 - Math.clz32(whole);
  const top = octave >= CELL_BITS ? whole >> (octave - CELL_BITS) : whole << (CELL_BITS - octave);
  return ((octave << CELL_BITS) + (top & CELL_MASK)) << 1;
}

const scratch = new DataView(new ArrayBuffer(8));

export function fineBucket(grid: HistogramGrid, ns: number): number {
  return grid.bucketOf(ns);
}
