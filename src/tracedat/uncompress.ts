/** Uncompresses parts of a trace.dat of version 7, with the algorithms that trace-cmd can use: zlib and zstd. */
import { inflateSync, zstdDecompressSync } from 'node:zlib';

/** Throws an `Error` if this fails or the result does not have exactly `size` bytes. */
export type Uncompress = (compressed: Uint8Array, size: number) => Uint8Array;

type Algorithm = (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;

const ALGORITHMS: Readonly<Record<string, Algorithm>> = { zlib: inflateSync, zstd: zstdDecompressSync };

/** Returns undefined if `name` is `none` or is not supported. */
export function uncompressOf(name: string): Uncompress | undefined {
  const algorithm = Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined;
  if (algorithm === undefined) return undefined;
  return (compressed, size) => {
    let bytes: Uint8Array;
    try {
      bytes = algorithm(compressed, { maxOutputLength: Math.max(1, size) });
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      throw new Error(
        code === 'ERR_BUFFER_TOO_LARGE' ? `${name}: more than ${size} bytes` : `${name}: ${message}`,
      );
    }
    if (bytes.length !== size)
      throw new Error(`${name}: ${bytes.length} bytes instead of the ${size} in its header`);
    return bytes;
  };
}
