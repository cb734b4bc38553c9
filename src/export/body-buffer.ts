/**
 * Text in, UTF-8 out. Lines are gathered in a string and encoded in pieces: half the time of one string of
 * megabytes or of a buffer for each line.
 */

export interface BodyBuffer {
  /** Appends whole lines. Unpaired surrogates, which UTF-8 cannot hold, become U+FFFD. */
  write(text: string): void;
  /** A copy of everything written since the last call. */
  take(): Buffer<ArrayBuffer>;
}

export function createBodyBuffer(): BodyBuffer {
  let buffer = Buffer.allocUnsafeSlow(1 << 16);
  let length = 0;
  return {
    write: (text) => {
      // A UTF-16 unit takes at most three bytes.
      const needed = length + text.length * 3;
      if (needed > buffer.length) {
        const grown = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2));
        buffer.copy(grown, 0, 0, length);
        buffer = grown;
      }
      length += buffer.write(text, length, 'utf8');
    },
    take: () => {
      const body = Buffer.from(buffer.subarray(0, length));
      length = 0;
      return body;
    },
  };
}
