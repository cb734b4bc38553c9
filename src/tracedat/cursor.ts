/** Reads parts of a trace.dat file in sequence. Throws `Broken` if a part extends beyond the end of its input. */
import { readAt } from './file-io.ts';

/** Maximum size of a part in bytes. The largest usual part is kallsyms, with about 15 MiB. */
export const MAX_PART = 1 << 28;
const MAX_NAME = 256;

/** Thrown if the file ends early or is invalid at some position. */
export class Broken extends Error {
  constructor(position: number, what: string, part = '') {
    super(`at byte ${position}${part}: ${what}`);
    this.name = 'Broken';
  }
}

/** Bytes that a cursor reads. */
export interface Input {
  size: number;
  /** `the file`, or the name of an uncompressed part; used in messages. */
  name: string;
  /** Returns the number of bytes read; less than `into.length` only at the end of the input. */
  read(into: Uint8Array, position: number): number;
}

export function fileInput(fd: number, file: string, size: number): Input {
  return { size, name: 'the file', read: (into, position) => readAt(fd, file, into, position) };
}

export function memoryInput(bytes: Uint8Array, name: string): Input {
  return {
    size: bytes.length,
    name,
    read: (into, position) => {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
  };
}

export class Cursor {
  readonly #input: Input;
  position: number;

  constructor(input: Input, position = 0) {
    this.#input = input;
    this.position = position;
  }

  get size(): number {
    return this.#input.size;
  }

  /** Returns another cursor over the same bytes, at `position`. */
  at(position: number): Cursor {
    return new Cursor(this.#input, position);
  }

  /** Reads `length` bytes. `what` names the part in the message of a `Broken`. */
  bytes(length: number, what: string): Buffer {
    this.#check(length, what);
    const bytes = Buffer.alloc(length);
    if (this.#input.read(bytes, this.position) < length)
      throw this.broken(this.position, `${this.#input.name} ends within ${what}`);
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

  /** Reads a length of `lengthBytes`, then a text of that length. */
  text(lengthBytes: 4 | 8, what: string): string {
    return this.bytes(this.number(lengthBytes, what), what).toString('utf8');
  }

  /** Reads text that ends with a NUL. */
  name(what: string): string {
    const start = this.position;
    const bytes = this.bytes(Math.max(0, Math.min(MAX_NAME, this.size - start)), what);
    const end = bytes.indexOf(0);
    if (end < 0) throw this.broken(start, `${what} has no end`);
    this.position = start + end + 1;
    return bytes.toString('utf8', 0, end);
  }

  broken(position: number, what: string): Broken {
    return new Broken(position, what, this.#input.name === 'the file' ? '' : ` of ${this.#input.name}`);
  }

  #check(length: number, what: string): void {
    const remaining = Math.max(0, this.size - this.position);
    if (length > remaining)
      throw this.broken(
        this.position,
        `${this.#input.name} ends within ${what}, after ${remaining} of ${length} bytes`,
      );
    if (length > MAX_PART)
      throw this.broken(this.position, `${what} has an impossible size of ${length} bytes`);
  }
}
