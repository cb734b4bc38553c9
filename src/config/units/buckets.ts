/** Bucket bounds in seconds. The capture thread loads this file, so it must not import the schema library. */

/** Returns the 1-2-5 series (…, 1e-6, 2e-6, 5e-6, 1e-5, …) from `fromSeconds` to `toSeconds`, including both. */
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

/** Default bounds in seconds: the 1-2-5 series from 1 µs to 10 s. */
export const DEFAULT_BUCKETS: readonly number[] = decimalBuckets(1e-6, 10);

/** Returns default bounds for values that are not times: the first `count` powers of 4 (1, 4, 16, …). */
export function powersOfFour(count: number): number[] {
  return Array.from({ length: count }, (_, i) => 4 ** i);
}
