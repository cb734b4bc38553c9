/**
 * Reads the few fields that we need from a refusal in protobuf: google.rpc.Status and the RetryInfo in its details
 * (github.com/googleapis/googleapis, google/rpc/status.proto and error_details.proto).
 */

/** Lengths of values of fixed size, by wire type. */
const FIXED: Readonly<Record<number, number>> = { 1: 8, 5: 4 };
const VARINT = 0;
const BYTES = 2;

/** Fields of a message: numbers for varints, bytes for fields with a length. Ends at the first invalid byte. */
function* fieldsOf(bytes: Uint8Array): Generator<[field: number, value: number | Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return Number.NaN;
  };
  while (at < bytes.length) {
    const tag = varint();
    const type = tag % 8;
    if (type === VARINT) {
      yield [Math.floor(tag / 8), varint()];
      continue;
    }
    const length = type === BYTES ? varint() : FIXED[type];
    if (!(length <= bytes.length - at)) return;
    if (type === BYTES) yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
    at += length;
  }
}

/** Fields with a length; empty if the message does not have the field. */
function bytesOf(message: Uint8Array, wanted: number): Uint8Array[] {
  return [...fieldsOf(message)].flatMap(([field, value]) =>
    field === wanted && value instanceof Uint8Array ? [value] : [],
  );
}

function textOf(message: Uint8Array, field: number): string {
  const [bytes] = bytesOf(message, field);
  return bytes === undefined ? '' : Buffer.from(bytes).toString('utf8');
}

/** Status.message; '' if there is none. */
export function statusMessage(status: Uint8Array): string {
  return textOf(status, 2);
}

/** RetryInfo.retry_delay of a Status, in milliseconds; undefined if there is none. */
export function retryDelayMs(status: Uint8Array): number | undefined {
  const any = bytesOf(status, 3).find((one) => textOf(one, 1) === 'type.googleapis.com/google.rpc.RetryInfo');
  const [delay] = any === undefined ? [] : bytesOf(any, 2).flatMap((retryInfo) => bytesOf(retryInfo, 1));
  if (delay === undefined) return undefined;
  const parts = new Map(fieldsOf(delay));
  const ms = Number(parts.get(1) ?? 0) * 1000 + Number(parts.get(2) ?? 0) / 1e6;
  return ms >= 0 && Number.isFinite(ms) ? ms : undefined;
}
