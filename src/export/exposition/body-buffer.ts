/**
 * The body of a scrape as it grows. Text is gathered in a string and encoded in pieces: half the time of one string
 * of megabytes or of a buffer for each line. Bytes are written in place, into room that was asked for.
 */

export interface BodyBuffer {
  /** Appends whole lines. Unpaired surrogates, which UTF-8 cannot hold, become U+FFFD. */
  write(text: string): void;
  /** Bytes that are written. Who writes into reserved room moves it on. */
  length: number;
  /** The buffer, with room for this many bytes from `length` on. It may be another one after the next call. */
  reserve(bytes: number): Buffer;
  /** Everything written since the last call; the caller's from now on. */
  take(): Buffer<ArrayBuffer>;
}

const SMALLEST = 1 << 14;

export function createBodyBuffer(): BodyBuffer {
  let buffer = Buffer.alloc(0);
  /** One scrape is about as long as the last: a new buffer of that size needs no copying, and none is kept. */
  let expected = SMALLEST;
  const body: BodyBuffer = {
    write: (text) => {
      // A UTF-16 unit takes at most three bytes.
      const into = body.reserve(text.length * 3);
      body.length += into.write(text, body.length, 'utf8');
    },
    length: 0,
    reserve: (bytes) => {
      const needed = body.length + bytes;
      if (needed > buffer.length) {
        const grown = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2, expected));
        buffer.copy(grown, 0, 0, body.length);
        buffer = grown;
      }
      return buffer;
    },
    take: () => {
      const taken = buffer.subarray(0, body.length);
      expected = Math.max(SMALLEST, body.length + (body.length >> 3));
      buffer = Buffer.alloc(0);
      body.length = 0;
      return taken;
    },
  };
  return body;
}
