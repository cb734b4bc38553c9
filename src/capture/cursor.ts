/**
 * Walks over the front part of a capture, whose lengths are in the file itself and can be anything. Reads no more
 * than is asked for; what does not fit is a `Broken`, which says where.
 */
import { readAt } from './file-io.ts';

/** No single part of the front is larger: a kernel's kallsyms, the largest, has about 15 MiB. */
const MAX_PART = 1 << 28;
const MAX_NAME = 256;

/** The file ends, or makes no sense, at a place. */
export class Broken extends Error {
  constructor(position: number, what: string) {
    super(`at byte ${position}: ${what}`);
    this.name = 'Broken';
  }
}

export class Cursor {
  readonly #fd: number;
  readonly #file: string;
  readonly size: number;
  position = 0;

  constructor(fd: number, file: string, size: number) {
    this.#fd = fd;
    this.#file = file;
    this.size = size;
  }

  /** `what` names the part in a `Broken`. */
  bytes(length: number, what: string): Buffer {
    this.#check(length, what);
    const bytes = Buffer.alloc(length);
    if (readAt(this.#fd, this.#file, bytes, this.position) < length)
      throw new Broken(this.position, `the file ends within ${what}`);
    this.position += length;
    return bytes;
  }

  skip(length: number, what: string): void {
    this.#check(length, what);
    this.position += length;
  }

  number(bytes: 1 | 2 | 4 | 8, what: string): number {
    const raw = this.bytes(bytes, what);
    return bytes === 8 ? raw.readUInt32LE(0) + raw.readUInt32LE(4) * 2 ** 32 : raw.readUIntLE(0, bytes);
  }

  /** Text behind its length, which has `lengthBytes`. */
  text(lengthBytes: 4 | 8, what: string): string {
    return this.bytes(this.number(lengthBytes, what), what).toString('utf8');
  }

  /** Text that a NUL ends. */
  name(what: string): string {
    const start = this.position;
    const bytes = this.bytes(Math.min(MAX_NAME, this.size - start), what);
    const end = bytes.indexOf(0);
    if (end < 0) throw new Broken(start, `${what} has no end`);
    this.position = start + end + 1;
    return bytes.toString('utf8', 0, end);
  }

  #check(length: number, what: string): void {
    if (length > this.size - this.position)
      throw new Broken(
        this.position,
        `the file ends within ${what}, ${this.size - this.position} of ${length} bytes on`,
      );
    if (length > MAX_PART) throw new Broken(this.position, `${what} has ${length} bytes, which cannot be`);
  }
}
