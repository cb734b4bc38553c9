/** Combines exponential buckets (bucket i ends at 2^(i/8) seconds) into rows of a heat map, and computes quantiles. */

/** Alternating indexes and counts of buckets, in ascending order of the index. */
export type Buckets = readonly number[];

const ZERO = -32768;
const LOWEST = -240;

export function upperBound(index: number): number {
  return index <= LOWEST ? 2 ** (LOWEST / 8) : 2 ** (index / 8);
}

/** Returns the upper bound, in seconds, of the bucket that contains the quantile. Undefined if there are no counts. */
export function quantile(buckets: Buckets, q: number): number | undefined {
  let total = 0;
  for (let i = 1; i < buckets.length; i += 2) total += buckets[i];
  if (total === 0) return undefined;
  let before = 0;
  for (let i = 0; i < buckets.length; i += 2) {
    before += buckets[i + 1];
    if (before >= q * total) return upperBound(buckets[i]);
  }
  return undefined;
}

export function merged(all: readonly (Buckets | null)[]): number[] {
  const counts = new Map<number, number>();
  for (const buckets of all) {
    if (buckets === null) continue;
    for (let i = 0; i < buckets.length; i += 2)
      counts.set(buckets[i], (counts.get(buckets[i]) ?? 0) + buckets[i + 1]);
  }
  return [...counts].sort(([a], [b]) => a - b).flat();
}

export interface Rows {
  /** Number of buckets per row. */
  width: number;
  /** Number of the lowest row. The upper bound of row r is 2^(r * width / 8) seconds. */
  first: number;
  count: number;
}

/** Chooses rows that cover all counts: about `most` or fewer, so that each row is high enough to click on. */
export function rowsOf(all: readonly (Buckets | null)[], most: number): Rows {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const buckets of all) {
    if (buckets === null || buckets.length === 0) continue;
    low = Math.min(low, Math.max(buckets[0], LOWEST));
    high = Math.max(high, buckets[buckets.length - 2], LOWEST);
  }
  // Without data, show 1 µs to 1 s.
  if (low > high) [low, high] = [-160, 0];
  let width = 1;
  while ((high - low) / width > most && width < 64) width *= 2;
  const first = rowOf(low, width) - 1;
  const count = Math.max(rowOf(high, width) - first + 2, 8);
  return { width, first, count };
}

export function rowOf(index: number, width: number): number {
  return Math.ceil(Math.max(index, LOWEST) / width);
}

/** Returns the bounds of a row in seconds: lower exclusive, upper inclusive. The row of `LOWEST` also contains 0. */
export function boundsOf(row: number, width: number): [low: number, high: number] {
  return [2 ** (((row - 1) * width) / 8), 2 ** ((row * width) / 8)];
}

/** Returns the count of each row, starting with the lowest row. */
export function rowCounts(buckets: Buckets, { width, first, count }: Rows): Float64Array {
  const counts = new Float64Array(count);
  for (let i = 0; i < buckets.length; i += 2) {
    const row = Math.max(0, rowOf(buckets[i] === ZERO ? LOWEST : buckets[i], width) - first);
    if (row < count) counts[row] += buckets[i + 1];
  }
  return counts;
}
