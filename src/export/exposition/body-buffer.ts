/** A growing buffer for the body of a scrape. Writing several lines per call is twice as fast as one line. */

export interface BodyBuffer {
  /** Appends whole lines in UTF-8. Unpaired surrogates, which UTF-8 cannot represent, become U+FFFD. */
  write(text: string): void;
  /** Number of bytes in the body. After writing into reserved space, the caller must increase `length`. */
  length: number;
  /** Returns a buffer with at least `bytes` free bytes after `length`. The next call may return a different buffer. */
  reserve(bytes: number): Buffer;
  /** Returns the body and starts an empty one. The caller owns the result. */
  take(): Buffer<ArrayBuffer>;
}

const SMALLEST = 1 << 14;

export function createBodyBuffer(): BodyBuffer {
  let buffer = Buffer.alloc(0);
  /** Initial buffer size of the next body: slightly more than the last body, because successive scrapes are similar. */
  let expected = SMALLEST;
  const body: BodyBuffer = {
    write: (text) => {
      // A UTF-16 code unit takes at most three bytes in UTF-8.
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
