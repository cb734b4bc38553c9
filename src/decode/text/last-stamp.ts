/** Finds the last timestamp of a text, without decoding the lines before it. */
import type { TimestampNs } from '../../model/time.ts';
import { newPrefix, parsePrefix } from './prefix.ts';

const NEWLINE = 0x0a;
const MOST_LINES = 16;
const prefix = newPrefix();

/** Returns the last timestamp in the last 16 lines, or 0 if there is none. */
export function lastLineStamp(bytes: Uint8Array, from: number, end: number, isGraph: boolean): TimestampNs {
  let stop = end;
  for (let lines = 0; lines < MOST_LINES && stop > from; lines++) {
    let start = stop - 1;
    while (start > from && bytes[start - 1] !== NEWLINE) start--;
    if (isGraph) {
      const stamp = graphStamp(bytes, start, stop);
      if (stamp > 0) return stamp;
    } else if (parsePrefix(bytes, start, stop, prefix) >= 0) {
      return prefix.timestampNs;
    }
    stop = start;
  }
  return 0;
}

/** Parses the time in a line such as `   20.156636 |  0) …`; 0 if there is none. */
function graphStamp(bytes: Uint8Array, from: number, end: number): TimestampNs {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.min(end - from, 32)).toString(
    'latin1',
  );
  const match = /^ *(\d{1,12})\.(\d{6}) \|/.exec(text);
  return match === null ? 0 : Number(match[1]) * 1e9 + Number(match[2]) * 1000;
}
