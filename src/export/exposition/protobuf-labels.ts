/** Caches encoded labels by `labelValues` array. Such an array only grows (see metrics/snapshot-reader.ts). */
import type { FamilySnapshot } from '../../model/metric.ts';
import { labelPairs } from '../families.ts';
import { BYTES, closeMessage, MAX_VARINT_BYTES, textRoom, writeTextField } from './protobuf-wire.ts';

/** Field numbers in io.prometheus.client's metrics.proto. */
const METRIC_LABEL = 1;
const PAIR_NAME = 1;
const PAIR_VALUE = 2;

/** Encoded labels of all series of a family, one series after the other. The labels of series s end at `ends[s]`. */
export interface EncodedLabels {
  bytes: Buffer;
  ends: number[];
}

export interface LabelBytes {
  ofFamily(family: FamilySnapshot): EncodedLabels;
  /** Encodes the labels of another library's series, without caching them. */
  ofSeries(labels: Readonly<Record<string, string>>): Buffer;
}

export function createLabelBytes(constantLabels: Readonly<Record<string, string>>): LabelBytes {
  const cache = new WeakMap<readonly string[], EncodedLabels>();
  return {
    ofFamily: (family) => {
      const { spec, labelValues, seriesCount } = family;
      if (family.labelsFrom !== 0) throw new Error(`${spec.name}: an incremental snapshot was not expanded`);
      let encoded = cache.get(labelValues);
      if (encoded === undefined) {
        encoded = { bytes: Buffer.alloc(0), ends: [] };
        cache.set(labelValues, encoded);
      }
      const width = spec.labels.length;
      const fresh: Buffer[] = [];
      let end = encoded.ends.at(-1) ?? 0;
      for (let s = encoded.ends.length; s < seriesCount; s++) {
        const values = labelValues.slice(s * width, (s + 1) * width);
        const bytes = encodeLabels(labelPairs(constantLabels, spec.labels, values));
        fresh.push(bytes);
        end += bytes.length;
        encoded.ends.push(end);
      }
      if (fresh.length > 0) encoded.bytes = Buffer.concat([encoded.bytes, ...fresh]);
      return encoded;
    },
    ofSeries: (labels) =>
      encodeLabels(labelPairs(constantLabels, Object.keys(labels), Object.values(labels))),
  };
}

function encodeLabels(pairs: readonly (readonly [string, string])[]): Buffer {
  let room = 0;
  for (const [name, value] of pairs) room += 1 + MAX_VARINT_BYTES + textRoom(name) + textRoom(value);
  const bytes = Buffer.allocUnsafe(room);
  let at = 0;
  for (const [name, value] of pairs) {
    bytes[at++] = (METRIC_LABEL << 3) | BYTES;
    const start = at;
    at = writeTextField(bytes, start + 1, PAIR_NAME, name);
    at = writeTextField(bytes, at, PAIR_VALUE, value);
    at = closeMessage(bytes, start, 1, at);
  }
  return bytes.subarray(0, at);
}
