/** Groups the samples of histograms from other libraries into one object per series. */
import type { ForeignSample } from './sample-family.ts';

export interface ClassicHistogram {
  labels: Readonly<Record<string, string>>;
  count: number;
  sum: number;
  /** Excludes the +Inf bucket, because its count equals `count`. */
  buckets: { bound: number; cumulativeCount: number }[];
}

export function classicHistograms(samples: readonly ForeignSample[]): Iterable<ClassicHistogram> {
  const byLabels = new Map<string, ClassicHistogram>();
  for (const { labels, suffix, le, value } of samples) {
    const key = JSON.stringify(labels);
    let histogram = byLabels.get(key);
    if (histogram === undefined) {
      histogram = { labels, count: 0, sum: 0, buckets: [] };
      byLabels.set(key, histogram);
    }
    if (suffix === '_count') histogram.count = value;
    else if (suffix === '_sum') histogram.sum = value;
    else if (le !== undefined && le !== Number.POSITIVE_INFINITY) {
      histogram.buckets.push({ bound: le, cumulativeCount: value });
    }
  }
  return byLabels.values();
}
