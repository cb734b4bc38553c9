/**
 * Text in, UTF-8 out. Lines are gathered in a string and encoded in pieces: half the time of one string of
 * megabytes or of a buffer for each line.
 */

export interface BodyBuffer {
  /** Appends whole lines. Unpaired surrogates, which UTF-8 cannot hold, become U+FFFD. */
  write(text: string): void;
  /** Everything written since the last call; the caller's from now on. */
  take(): Buffer<ArrayBuffer>;
}

const SMALLEST = 1 << 14;

export function createBodyBuffer(): BodyBuffer {
  let buffer = Buffer.alloc(0);
  let length = 0;
  /** One scrape is about as long as the last: a new buffer of that size needs no copying, and none is kept. */
  let expected = SMALLEST;
  return {
    write: (text) => {
      // A UTF-16 unit takes at most three bytes.
      const needed = length + text.length * 3;
      if (needed > buffer.length) {
        const grown = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2, expected));
        buffer.copy(grown, 0, 0, length);
        buffer = grown;
      }
      length += buffer.write(text, length, 'utf8');
    },
    take: () => {
      const body = buffer.subarray(0, length);
      expected = Math.max(SMALLEST, length + (length >> 3));
      buffer = Buffer.alloc(0);
      length = 0;
      return body;
    },
  };
}
