/**
 * Reads a delimited protobuf exposition with protobufjs and Prometheus' own metrics.proto (client_model v0.6.3), and
 * splits it into samples as Prometheus does (model/textparse/protobufparse.go).
 */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const PROTO = fileURLToPath(new URL('../fixtures/prometheus/metrics.proto', import.meta.url));

export const MetricFamilyType = protobuf.loadSync(PROTO).lookupType('io.prometheus.client.MetricFamily');

export interface DecodedHistogram {
  sampleCount: number;
  sampleSum: number;
  bucket?: { cumulativeCount: number; upperBound: number }[];
  schema?: number;
  zeroThreshold?: number;
  zeroCount?: number;
  positiveSpan?: { offset: number; length: number }[];
  positiveDelta?: number[];
}

export interface DecodedMetric {
  label?: { name: string; value: string }[];
  counter?: { value: number };
  gauge?: { value: number };
  histogram?: DecodedHistogram;
}

export interface DecodedFamily {
  name: string;
  help: string;
  type: 'COUNTER' | 'GAUGE' | 'HISTOGRAM';
  unit?: string;
  metric: DecodedMetric[];
}

/** All families of a body. Throws on bytes that are not a body. */
export function decodeFamilies(body: Uint8Array): DecodedFamily[] {
  const reader = protobuf.Reader.create(body);
  const families: DecodedFamily[] = [];
  while (reader.pos < reader.len) {
    const message = MetricFamilyType.decodeDelimited(reader);
    families.push(MetricFamilyType.toObject(message, { longs: Number, enums: String }) as DecodedFamily);
  }
  return families;
}

export interface Sample {
  name: string;
  /** The value of `le` is the number's text. */
  labels: Record<string, string>;
  value: number;
}

/** Samples of counters, gauges and classic buckets. */
export function classicSamples(families: readonly DecodedFamily[]): Sample[] {
  const samples: Sample[] = [];
  for (const { name, metric } of families) {
    for (const { label = [], counter, gauge, histogram } of metric) {
      const labels: Record<string, string> = {};
      for (const pair of label) {
        if (Object.hasOwn(labels, pair.name)) throw new Error(`${name}: label ${pair.name} comes twice`);
        labels[pair.name] = pair.value;
      }
      if (histogram === undefined) {
        const value = (counter ?? gauge)?.value;
        if (value === undefined) throw new Error(`${name}: a metric without a value`);
        samples.push({ name, labels, value });
        continue;
      }
      const { bucket = [], sampleCount, sampleSum } = histogram;
      const all = [...bucket, { upperBound: Number.POSITIVE_INFINITY, cumulativeCount: sampleCount }];
      for (const { upperBound, cumulativeCount } of all) {
        const le = String(upperBound);
        samples.push({ name: `${name}_bucket`, labels: { ...labels, le }, value: cumulativeCount });
      }
      samples.push({ name: `${name}_sum`, labels, value: sampleSum });
      samples.push({ name: `${name}_count`, labels, value: sampleCount });
    }
  }
  return samples;
}

/** Counts by index of the native buckets (bucket i of schema n holds (2^((i-1)/2^n), 2^(i/2^n)]). */
export function nativeBuckets(histogram: DecodedHistogram): Map<number, number> {
  const { positiveSpan = [], positiveDelta = [] } = histogram;
  const buckets = new Map<number, number>();
  let index = 0;
  let count = 0;
  let at = 0;
  for (const { offset, length } of positiveSpan) {
    index += offset;
    for (let i = 0; i < length; i++) {
      count += positiveDelta[at++];
      buckets.set(index++, count);
    }
  }
  if (at !== positiveDelta.length) {
    throw new Error(`spans of ${at} buckets, but ${positiveDelta.length} deltas`);
  }
  return buckets;
}
