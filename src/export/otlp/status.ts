/**
 * Reads the few fields that we need from a refusal in protobuf: google.rpc.Status and the RetryInfo in its details
 * (github.com/googleapis/googleapis, google/rpc/status.proto and error_details.proto).
 */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

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
    } else if (type === BYTES) {
      const length = varint();
      if (!(length <= bytes.length - at)) return;
      yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
      at += length;
    } else if (type === FIXED64 || type === FIXED32) {
      at += type === FIXED64 ? 8 : 4;
    } else {
      return;
    }
  }
}

function textOf(value: number | Uint8Array): string {
  return typeof value === 'number' ? '' : Buffer.from(value).toString('utf8');
}

/** Status.message; '' if there is none. */
export function statusMessage(status: Uint8Array): string {
  for (const [field, value] of fieldsOf(status)) if (field === 2) return textOf(value);
  return '';
}

/** RetryInfo.retry_delay of a Status, in milliseconds; undefined if there is none. */
export function retryDelayMs(status: Uint8Array): number | undefined {
  for (const [field, any] of fieldsOf(status)) {
    if (field !== 3 || typeof any === 'number') continue;
    const detail = new Map(fieldsOf(any));
    const content = detail.get(2);
    if (textOf(detail.get(1) ?? 0) !== 'type.googleapis.com/google.rpc.RetryInfo') continue;
    const delay = content instanceof Uint8Array ? new Map(fieldsOf(content)).get(1) : undefined;
    if (!(delay instanceof Uint8Array)) return undefined;
    const [secondsAndNanos, nothing] = [new Map(fieldsOf(delay)), 0];
    const [seconds, nanos] = [secondsAndNanos.get(1) ?? nothing, secondsAndNanos.get(2) ?? nothing];
    if (typeof seconds !== 'number' || typeof nanos !== 'number') return undefined;
    const ms = seconds * 1000 + nanos / 1e6;
    return ms >= 0 && Number.isFinite(ms) ? ms : undefined;
  }
  return undefined;
}
