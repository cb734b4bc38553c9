/**
 * Writes one series of a histogram as a `Histogram` message (io.prometheus.client's metrics.proto), with classic
 * buckets and a native histogram. Like client_golang, we omit the classic +Inf bucket unless it has an exemplar.
 */
import { HISTOGRAM_SCALE } from '../../model/histogram-grid.ts';
import type { HistogramSnapshot } from '../../model/metric.ts';
import { classicCounts, exponentialCounts } from '../../model/snapshot-views.ts';
import type { BucketExemplars, Exemplar } from '../exemplars.ts';
import type { HistogramShape } from '../histogram-shape.ts';
import { EXEMPLAR_ROOM, writeExemplar } from './protobuf-exemplar.ts';
import {
  BYTES,
  closeMessage,
  FIXED64,
  MAX_VARINT_BYTES,
  VARINT,
  writeDouble,
  writeVarint,
  writeZigzag,
} from './protobuf-wire.ts';

const SAMPLE_COUNT = (1 << 3) | VARINT;
const SAMPLE_SUM = (2 << 3) | FIXED64;
const BUCKET = (3 << 3) | BYTES;
const SCHEMA = (5 << 3) | VARINT;
const ZERO_THRESHOLD = (6 << 3) | FIXED64;
const ZERO_COUNT = (7 << 3) | VARINT;
const POSITIVE_SPAN = (12 << 3) | BYTES;
const POSITIVE_DELTA = (13 << 3) | BYTES;

/** The tag of the field `exemplars` (number 16), which needs two bytes. */
const EXEMPLARS = [((16 << 3) & 127) | BYTES | 128, 16 >> 4] as const;

const BUCKET_CUMULATIVE_COUNT = (1 << 3) | VARINT;
const BUCKET_UPPER_BOUND = (2 << 3) | FIXED64;
const BUCKET_EXEMPLAR = (3 << 3) | BYTES;

const SPAN_OFFSET = (1 << 3) | VARINT;
const SPAN_LENGTH = (2 << 3) | VARINT;

/** Width of the zero bucket. If it were 0, Prometheus would treat an empty native histogram as a classic one. */
const ZERO_THRESHOLD_SECONDS = 1e-128;

/** Maximum bytes of a message without its buckets. */
export const HEAD_ROOM = 64;
/** Maximum bytes of a classic bucket. */
export const BUCKET_ROOM = 2 + 1 + MAX_VARINT_BYTES + 1 + 8;
/** Maximum bytes of a native bucket: a delta, and a span if the bucket begins a run of consecutive buckets. */
const NATIVE_BUCKET_ROOM = MAX_VARINT_BYTES + 2 + 2 * (1 + MAX_VARINT_BYTES);

/** Maximum bytes of a series' `Histogram` message. */
export function histogramRoom({ bounds, grid }: HistogramShape, hasExemplars: boolean): number {
  const room = HEAD_ROOM + bounds.length * BUCKET_ROOM + grid.upperNs.length * NATIVE_BUCKET_ROOM;
  // Each exemplar is written twice: in a classic bucket, which can be the +Inf bucket, and in the native histogram.
  return hasExemplars ? room + (bounds.length + 1) * 2 * (3 + EXEMPLAR_ROOM) + BUCKET_ROOM : room;
}

/** Writes series `s` at `at`, and returns the position after it. The caller must have reserved `histogramRoom`. */
export type HistogramWriter = (
  bytes: Buffer,
  at: number,
  shape: HistogramShape,
  data: HistogramSnapshot,
  s: number,
  exemplars: BucketExemplars | undefined,
) => number;

export function createHistogramWriter(): HistogramWriter {
  /** Index and count of each native bucket of the current series. */
  const native = { indexes: new Int32Array(0), counts: new Float64Array(0), length: 0 };
  const note = (index: number, count: number) => {
    native.indexes[native.length] = index;
    native.counts[native.length++] = count;
  };

  return (bytes, at, shape, data, s, exemplars) => {
    const { bounds, grid, counts } = shape;
    if (grid.upperNs.length > native.indexes.length) {
      native.indexes = new Int32Array(grid.upperNs.length);
      native.counts = new Float64Array(grid.upperNs.length);
    }
    at = writeCountAndSum(bytes, at, data.counts[s], data.sumsNs[s] / grid.divisor);
    classicCounts(grid, data, s, counts);
    if (exemplars === undefined) {
      for (let b = 0; b < counts.length; b++) at = writeBucket(bytes, at, bounds[b], counts[b]);
    } else {
      at = writePointing(bytes, at, shape, data.counts[s], exemplars);
    }
    native.length = 0;
    const zeroes = exponentialCounts(grid, data, s, note);
    bytes[at++] = SCHEMA;
    at = writeZigzag(bytes, at, HISTOGRAM_SCALE);
    bytes[at++] = ZERO_THRESHOLD;
    at = writeDouble(bytes, at, ZERO_THRESHOLD_SECONDS);
    bytes[at++] = ZERO_COUNT;
    at = writeVarint(bytes, at, zeroes);
    at = writeSpans(bytes, at, native.indexes, native.length);
    at = writeDeltas(bytes, at, native.counts, native.length);
    return exemplars === undefined ? at : writeExemplars(bytes, at, exemplars);
  };
}

export function writeCountAndSum(bytes: Uint8Array, at: number, count: number, sum: number): number {
  bytes[at++] = SAMPLE_COUNT;
  at = writeVarint(bytes, at, count);
  bytes[at++] = SAMPLE_SUM;
  return writeDouble(bytes, at, sum);
}

/** Writes a classic bucket. The message is shorter than 128 bytes, so its length prefix takes one byte. */
export function writeBucket(bytes: Uint8Array, at: number, bound: number, cumulativeCount: number): number {
  bytes[at++] = BUCKET;
  const start = at++;
  bytes[at++] = BUCKET_CUMULATIVE_COUNT;
  at = writeVarint(bytes, at, cumulativeCount);
  bytes[at++] = BUCKET_UPPER_BOUND;
  at = writeDouble(bytes, at, bound);
  bytes[start] = at - start - 1;
  return at;
}

/** Writes the classic buckets of a series that has exemplars. */
function writePointing(
  bytes: Buffer,
  at: number,
  { bounds, counts }: HistogramShape,
  count: number,
  exemplars: BucketExemplars,
): number {
  for (let b = 0; b <= bounds.length; b++) {
    const exemplar = exemplars[b];
    const isLast = b === bounds.length;
    if (isLast && exemplar === undefined) break;
    const start = at + 1;
    at = writeBucket(bytes, at, isLast ? Number.POSITIVE_INFINITY : bounds[b], isLast ? count : counts[b]);
    if (exemplar === undefined) continue;
    bytes[at++] = BUCKET_EXEMPLAR;
    at = closeMessage(bytes, start, 1, writeExemplar(bytes, at, exemplar));
  }
  return at;
}

/** Writes all exemplars of a series again, for the native histogram. */
function writeExemplars(bytes: Buffer, at: number, exemplars: BucketExemplars): number {
  const write = (exemplar: Exemplar | undefined): void => {
    if (exemplar === undefined) return;
    for (const byte of EXEMPLARS) bytes[at++] = byte;
    at = writeExemplar(bytes, at, exemplar);
  };
  exemplars.forEach(write);
  return at;
}

/** Writes each run of consecutive buckets as a `BucketSpan`. Offsets after the first count skipped buckets. */
function writeSpans(bytes: Uint8Array, at: number, indexes: Int32Array, length: number): number {
  let next = 0;
  for (let i = 0; i < length; ) {
    const first = i++;
    while (i < length && indexes[i] === indexes[i - 1] + 1) i++;
    bytes[at++] = POSITIVE_SPAN;
    const start = at++;
    bytes[at++] = SPAN_OFFSET;
    at = writeZigzag(bytes, at, indexes[first] - next);
    bytes[at++] = SPAN_LENGTH;
    at = writeVarint(bytes, at, i - first);
    bytes[start] = at - start - 1;
    next = indexes[i - 1] + 1;
  }
  return at;
}

/** Writes the differences between successive counts in packed form, which decoders accept for `repeated` numbers. */
function writeDeltas(bytes: Buffer, at: number, counts: Float64Array, length: number): number {
  if (length === 0) return at;
  bytes[at++] = POSITIVE_DELTA;
  const start = at++;
  let before = 0;
  for (let i = 0; i < length; i++) {
    at = writeZigzag(bytes, at, counts[i] - before);
    before = counts[i];
  }
  return closeMessage(bytes, start, 1, at);
}
