/**
 * Renders snapshots as protobuf: `MetricFamily` messages of io.prometheus.client's metrics.proto, each after its
 * length. Without a protobuf library, a scrape allocates nothing per series and reuses encoded labels.
 */
import type { FamilySnapshot, HistogramSnapshot, MetricSnapshot, MetricSpec } from '../../model/metric.ts';
import { classicHistograms } from '../classic-histograms.ts';
import type { BucketExemplars } from '../exemplars.ts';
import { byName, type FamilyPart, type RendererOptions, typeOf, unitOf } from '../families.ts';
import { shapeOf } from '../histogram-shape.ts';
import type { SampleFamily } from '../sample-family.ts';
import { type BodyBuffer, createBodyBuffer } from './body-buffer.ts';
import { classicRoom, writeClassic } from './protobuf-classic.ts';
import { createHistogramWriter, type HistogramWriter, histogramRoom } from './protobuf-histogram.ts';
import { createLabelBytes, type EncodedLabels } from './protobuf-labels.ts';
import {
  BYTES,
  closeMessage,
  copyBytes,
  FIXED64,
  MAX_VARINT_BYTES,
  textRoom,
  VARINT,
  writeDouble,
  writeTextField,
  writeVarint,
} from './protobuf-wire.ts';

export interface ProtobufRenderer {
  /** Renders the same series with the same names as `render` in text.ts. Histograms also have native buckets. */
  render(snapshots: readonly MetricSnapshot[], foreign?: readonly SampleFamily[]): Buffer<ArrayBuffer>;
}

const FAMILY_NAME = 1;
const FAMILY_HELP = 2;
const FAMILY_TYPE = (3 << 3) | VARINT;
const FAMILY_METRIC = (4 << 3) | BYTES;
const FAMILY_UNIT = 5;
const METRIC_HISTOGRAM = (7 << 3) | BYTES;
/** Values of the enum `MetricType` in metrics.proto. */
const TYPES = { counter: 0, gauge: 1, histogram: 4 } as const;
/** Tags of the fields of `Metric` that contain a `Counter` or `Gauge` message with one field: `VALUE`. */
const METRIC_VALUE = { counter: (3 << 3) | BYTES, gauge: (2 << 3) | BYTES } as const;
const VALUE = (1 << 3) | FIXED64;
/** Length of a `Counter` or `Gauge` message in bytes. */
const VALUE_BYTES = 1 + 8;

/** Guessed size in bytes of a message's length prefix. If the guess was wrong, `closeMessage` moves the message. */
const FAMILY_WIDTH = 3;
const HISTOGRAM_WIDTH = 2;
/** Maximum bytes of a metric, excluding labels and the content of a histogram. */
const METRIC_ROOM = 2 * (1 + MAX_VARINT_BYTES) + VALUE_BYTES;

export function createProtobufRenderer(options: RendererOptions = {}): ProtobufRenderer {
  const labels = createLabelBytes(options.constantLabels ?? {});
  const histograms = createHistogramWriter();
  const body = createBodyBuffer();
  const { exemplars } = options;

  const renderMerged = (parts: readonly FamilyPart[]) => {
    const { name, help, kind, unit } = parts[0].family.spec;
    const open = openFamily(body, name, help, kind, unit);
    for (const { family, repeated } of parts) {
      const encoded = labels.ofFamily(family);
      const data = family.histogram;
      if (data === undefined) writeValues(body, family, encoded, repeated);
      else {
        const marked = exemplars?.ofFamily(family);
        writeHistograms(body, histograms, { family, data, encoded, marked }, repeated);
      }
    }
    closeFamily(body, open);
  };

  const renderForeign = ({ name, help, kind, samples }: SampleFamily) => {
    const family = openFamily(body, name, help, kind, '');
    if (kind === 'histogram') {
      for (const histogram of classicHistograms(samples)) {
        const encoded = labels.ofSeries(histogram.labels);
        const bytes = body.reserve(METRIC_ROOM + encoded.length + classicRoom(histogram));
        const content = openHistogram(bytes, body.length, encoded, 0, encoded.length);
        const end = writeClassic(bytes, content, histogram);
        body.length = closeHistogram(bytes, body.length, content, end);
      }
    } else {
      for (const sample of samples) {
        const encoded = labels.ofSeries(sample.labels);
        const bytes = body.reserve(METRIC_ROOM + encoded.length);
        body.length = writeValue(bytes, body.length, encoded, 0, encoded.length, kind, sample.value);
      }
    }
    closeFamily(body, family);
  };

  return {
    render: (snapshots, foreign = []) => {
      try {
        for (const parts of byName(snapshots)) renderMerged(parts);
        for (const family of foreign) renderForeign(family);
      } catch (error) {
        body.take();
        throw error;
      }
      return body.take();
    },
  };
}

/** Positions in the body where a family and its first metric begin. */
interface OpenFamily {
  start: number;
  metrics: number;
}

function openFamily(
  body: BodyBuffer,
  name: string,
  help: string,
  kind: MetricSpec['kind'],
  unit: string,
): OpenFamily {
  const start = body.length;
  const bytes = body.reserve(FAMILY_WIDTH + textRoom(name) + textRoom(help) + 2 + textRoom(unit));
  let at = writeTextField(bytes, start + FAMILY_WIDTH, FAMILY_NAME, name);
  at = writeTextField(bytes, at, FAMILY_HELP, help);
  bytes[at++] = FAMILY_TYPE;
  bytes[at++] = TYPES[typeOf(kind)];
  const shown = unitOf(name, kind, unit);
  if (shown !== '') at = writeTextField(bytes, at, FAMILY_UNIT, shown);
  body.length = at;
  return { start, metrics: at };
}

/** Writes a family's length prefix, or removes the family if it has no series. */
function closeFamily(body: BodyBuffer, { start, metrics }: OpenFamily): void {
  if (body.length === metrics) body.length = start;
  else body.length = closeMessage(body.reserve(MAX_VARINT_BYTES), start, FAMILY_WIDTH, body.length);
}

function writeValues(
  body: BodyBuffer,
  family: FamilySnapshot,
  { bytes: encoded, ends }: EncodedLabels,
  repeated: FamilyPart['repeated'],
): void {
  const { values, seriesCount } = family;
  const { kind, divisor } = family.spec;
  const bytes = body.reserve(encoded.length + seriesCount * METRIC_ROOM);
  const type = typeOf(kind) as 'counter' | 'gauge';
  let at = body.length;
  for (let s = 0, from = 0; s < seriesCount; from = ends[s++]) {
    const value = values[s] / divisor;
    if (Number.isNaN(value) || repeated?.has(s)) continue;
    at = writeValue(bytes, at, encoded, from, ends[s], type, value);
  }
  body.length = at;
}

interface Histograms {
  family: FamilySnapshot;
  data: HistogramSnapshot;
  encoded: EncodedLabels;
  /** Exemplars by index of the series. */
  marked: ReadonlyMap<number, BucketExemplars> | undefined;
}

/** Writes a family of histograms. Skips absent series, whose count is NaN. */
function writeHistograms(
  body: BodyBuffer,
  writer: HistogramWriter,
  { family, data, encoded: { bytes: encoded, ends }, marked }: Histograms,
  repeated: FamilyPart['repeated'],
): void {
  const shape = shapeOf(family.spec);
  for (let s = 0, from = 0; s < family.seriesCount; from = ends[s++]) {
    if (Number.isNaN(data.counts[s]) || repeated?.has(s)) continue;
    const pointed = marked?.get(s);
    const room = histogramRoom(shape, pointed !== undefined);
    const bytes = body.reserve(METRIC_ROOM + ends[s] - from + room);
    const content = openHistogram(bytes, body.length, encoded, from, ends[s]);
    const end = writer(bytes, content, shape, data, s, pointed);
    body.length = closeHistogram(bytes, body.length, content, end);
  }
}

/** Writes the metric of a counter or gauge. Copies its labels from `encoded`, from position `from` to `to`. */
function writeValue(
  bytes: Uint8Array,
  at: number,
  encoded: Uint8Array,
  from: number,
  to: number,
  type: 'counter' | 'gauge',
  value: number,
): number {
  bytes[at++] = FAMILY_METRIC;
  at = writeVarint(bytes, at, to - from + 2 + VALUE_BYTES);
  at = copyBytes(encoded, from, to, bytes, at);
  bytes[at++] = METRIC_VALUE[type];
  bytes[at++] = VALUE_BYTES;
  bytes[at++] = VALUE;
  return writeDouble(bytes, at, value);
}

/** Writes the tag and the labels of a metric at `at`. Returns the position where the histogram's content begins. */
function openHistogram(bytes: Uint8Array, at: number, encoded: Uint8Array, from: number, to: number): number {
  bytes[at] = FAMILY_METRIC;
  const labelsEnd = copyBytes(encoded, from, to, bytes, at + 1 + HISTOGRAM_WIDTH);
  bytes[labelsEnd] = METRIC_HISTOGRAM;
  return labelsEnd + 1 + HISTOGRAM_WIDTH;
}

/** Writes the length prefixes of a histogram and of its metric. Returns the position after the metric. */
function closeHistogram(bytes: Buffer, metric: number, content: number, end: number): number {
  const histogramEnd = closeMessage(bytes, content - HISTOGRAM_WIDTH, HISTOGRAM_WIDTH, end);
  return closeMessage(bytes, metric + 1, HISTOGRAM_WIDTH, histogramEnd);
}
