/** Writes histograms of other libraries as `Histogram` messages with classic buckets only. */
import type { ClassicHistogram } from '../classic-histograms.ts';
import { BUCKET_ROOM, HEAD_ROOM, writeBucket, writeCountAndSum } from './protobuf-histogram.ts';

/** Maximum bytes of the content of a histogram's message. */
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
