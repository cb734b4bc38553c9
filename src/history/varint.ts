/** Encodes whole numbers of up to 53 bits in few bytes: seven bits per byte, lowest first, as in protobuf. */

export class ByteWriter {
  #bytes = new Uint8Array(4096);
  length = 0;

  /** Writes a whole number from 0 to 2^53 - 1. */
  number(value: number): void {
    if (this.length + 8 > this.#bytes.length) this.#grow();
    let rest = value;
    // JavaScript's bit operations work on 32 bits, so use arithmetic for the upper bits.
    while (rest >= 0x80000000) {
      this.#bytes[this.length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      this.#bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.length++] = rest;
  }

  append(bytes: Uint8Array): void {
    while (this.length + bytes.length > this.#bytes.length) this.#grow();
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Returns a view that is valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, from = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.at = from;
    this.end = end;
  }

  number(): number {
    let value = 0;
    let weight = 1;
    for (;;) {
      const byte = this.#bytes[this.at++];
      value += (byte & 0x7f) * weight;
      if (byte < 0x80) return value;
      weight *= 128;
    }
  }
}
