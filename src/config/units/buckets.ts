/**
 * Bucket bounds of classic histograms, in seconds. Does not import the schema library, because the capture thread loads
 * this file.
 */

/**
 * Bounds of the 1-2-5 series from `fromSeconds` to `toSeconds`, including both if they are in the series: 1e-6, 2e-6,
 * 5e-6, …
 */
export function decimalBuckets(fromSeconds: number, toSeconds: number): number[] {
  const bounds: number[] = [];
  for (let exponent = -9; exponent <= 4; exponent++) {
    for (const digit of [1, 2, 5]) {
      const bound = Number(`${digit}e${exponent}`);
      if (bound >= fromSeconds && bound <= toSeconds) bounds.push(bound);
    }
  }
  return bounds;
}

/** Default classic bounds in seconds: 1 µs … 10 s. */
export const DEFAULT_BUCKETS: readonly number[] = decimalBuckets(1e-6, 10);

/** Default bounds for numbers that are not times: the first `count` powers of 4 (1, 4, 16, …). */
export function powersOfFour(count: number): number[] {
  return Array.from({ length: count }, (_, i) => 4 ** i);
}
