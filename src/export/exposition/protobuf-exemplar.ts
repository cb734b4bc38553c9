/** Writes `Exemplar` messages of io.prometheus.client's metrics.proto, for classic buckets and native histograms. */
import { type Exemplar, exemplarSeconds } from '../exemplars.ts';
import {
  BYTES,
  closeMessage,
  FIXED64,
  VARINT,
  writeDouble,
  writeTextField,
  writeVarint,
} from './protobuf-wire.ts';

const EXEMPLAR_LABEL = (1 << 3) | BYTES;
const EXEMPLAR_VALUE = (2 << 3) | FIXED64;
const EXEMPLAR_TIMESTAMP = (3 << 3) | BYTES;
const PAIR_NAME = 1;
const PAIR_VALUE = 2;
const TIMESTAMP_SECONDS = (1 << 3) | VARINT;
const TIMESTAMP_NANOS = (2 << 3) | VARINT;

/** Maximum bytes of an exemplar with IDs of 32 and 16 digits. Below 128, so the length prefix needs one byte. */
export const EXEMPLAR_ROOM = 112;

/** Writes an exemplar's length and content. The caller must have written the tag. */
export function writeExemplar(
  bytes: Buffer,
  at: number,
  { traceId, spanId, valueNs, at: when }: Exemplar,
): number {
  const start = at++;
  at = writeLabel(bytes, at, 'trace_id', traceId);
  at = writeLabel(bytes, at, 'span_id', spanId);
  bytes[at++] = EXEMPLAR_VALUE;
  at = writeDouble(bytes, at, valueNs / 1e9);
  bytes[at++] = EXEMPLAR_TIMESTAMP;
  const timestamp = at++;
  const seconds = exemplarSeconds(when);
  bytes[at++] = TIMESTAMP_SECONDS;
  at = writeVarint(bytes, at, Math.floor(seconds));
  bytes[at++] = TIMESTAMP_NANOS;
  at = writeVarint(bytes, at, Math.round((seconds - Math.floor(seconds)) * 1e3) * 1e6);
  bytes[timestamp] = at - timestamp - 1;
  return closeMessage(bytes, start, 1, at);
}

function writeLabel(bytes: Buffer, at: number, name: string, value: string): number {
  bytes[at++] = EXEMPLAR_LABEL;
  const start = at++;
  at = writeTextField(bytes, at, PAIR_NAME, name);
  at = writeTextField(bytes, at, PAIR_VALUE, value);
  return closeMessage(bytes, start, 1, at);
}
