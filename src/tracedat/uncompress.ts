/** Compressed parts of a trace.dat of version 7 in, their bytes out. The algorithms are those trace-cmd is built with. */
import { inflateSync, zstdDecompressSync } from 'node:zlib';

/** Gives `size` bytes, or throws an `Error` with the reason. */
export type Uncompress = (compressed: Uint8Array, size: number) => Uint8Array;

type Algorithm = (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;

const ALGORITHMS: Readonly<Record<string, Algorithm>> = { zlib: inflateSync, zstd: zstdDecompressSync };

/** By the name in the file's header, for which `none` is nothing special; undefined for one we do not have. */
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
    if (bytes.length !== size) throw new Error(`${name}: ${bytes.length} bytes, where ${size} are announced`);
    return bytes;
  };
}
