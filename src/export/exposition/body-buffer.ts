/**
 * The growing body of a scrape. Text is collected in a string and encoded in pieces, which takes half the time of
 * encoding one large string, or of a buffer per line. Bytes are written directly into reserved space.
 */

export interface BodyBuffer {
  /** Appends whole lines. Unpaired surrogates, which UTF-8 cannot represent, become U+FFFD. */
  write(text: string): void;
  /** Bytes written so far. A caller that writes into reserved space increases it. */
  length: number;
  /** Returns the buffer with space for this many bytes after `length`. The next call may return another buffer. */
  reserve(bytes: number): Buffer;
  /** Returns everything written since the last call. The caller owns it. */
  take(): Buffer<ArrayBuffer>;
}

const SMALLEST = 1 << 14;

export function createBodyBuffer(): BodyBuffer {
  let buffer = Buffer.alloc(0);
  /** A scrape is about as long as the previous one, so allocate that size. The buffer is not reused. */
  let expected = SMALLEST;
  const body: BodyBuffer = {
    write: (text) => {
      // A UTF-16 unit needs at most three bytes.
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
      const written = buffer.subarray(0, body.length);
      expected = Math.max(SMALLEST, body.length + (body.length >> 3));
      buffer = Buffer.alloc(0);
      body.length = 0;
      return written;
    },
  };
  return body;
}
