/** Classic bounds of histograms, in seconds. Pure: the capture thread loads this without the schemas. */

/** 1-2-5 decimals from `fromSeconds` to `toSeconds`, both included when they are such: 1e-6, 2e-6, 5e-6, … */
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

/** Classic bounds in seconds where nothing else is said: 1 µs … 10 s. */
export const DEFAULT_BUCKETS: readonly number[] = decimalBuckets(1e-6, 10);
