/**
 * Histograms of other libraries, whose samples come one by one as in the text format: gathered by their labels and
 * written as `Histogram` messages with classic buckets alone.
 */
import { BUCKET_ROOM, HEAD_ROOM, writeBucket, writeCountAndSum } from './protobuf-histogram.ts';
import type { ForeignSample } from './sample-family.ts';

export interface ClassicHistogram {
  labels: Readonly<Record<string, string>>;
  count: number;
  sum: number;
  /** Without the one of +Inf. */
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

/** Bytes that the content of its message takes at most. */
export function classicRoom(histogram: ClassicHistogram): number {
  return HEAD_ROOM + histogram.buckets.length * BUCKET_ROOM;
}

export function writeClassic(bytes: Uint8Array, at: number, histogram: ClassicHistogram): number {
  at = writeCountAndSum(bytes, at, histogram.count, histogram.sum);
  for (const { bound, cumulativeCount } of histogram.buckets) {
    at = writeBucket(bytes, at, bound, cumulativeCount);
  }
  return at;
}
