/** `rate_limit` of a web config: a token bucket. Each request takes one token. */
import type { Rate } from './web-config.ts';

export interface Bucket {
  /** Takes a token. Returns false if there is none. */
  take(): boolean;
}

export function createBucket(
  { intervalNs, burst }: Rate,
  now: () => number = () => performance.now(),
): Bucket {
  const intervalMs = intervalNs / 1e6;
  let tokens = burst;
  let filledAtMs = now();
  return {
    take: () => {
      const nowMs = now();
      tokens = Math.min(burst, tokens + (nowMs - filledAtMs) / intervalMs);
      filledAtMs = nowMs;
      if (tokens < 1) return false;
      tokens--;
      return true;
    },
  };
}
