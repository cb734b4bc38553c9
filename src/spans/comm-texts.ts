/** Caches the strings of task names (comm: 16 bytes in events). */
import { textUpToNul } from './text.ts';

export const COMM_WORDS = 4;
const COMM_BYTES = COMM_WORDS * 4;
/** Must be a power of two, because `PLACES - 1` is a bit mask. */
const PLACES = 1 << 10;

export class CommTexts {
  readonly #words = new Int32Array(PLACES * COMM_WORDS);
  readonly #texts: string[] = new Array(PLACES).fill('');

  /** Decodes the name in the four 32-bit words that begin at index `at`. */
  of(words: Int32Array, at: number): string {
    const mixed = (words[at] ^ (words[at + 1] * 31) ^ (words[at + 2] * 961) ^ (words[at + 3] * 29791)) | 0;
    const place = (mixed ^ (mixed >>> 10) ^ (mixed >>> 20)) & (PLACES - 1);
    const entry = place * COMM_WORDS;
    let isKnown = true;
    for (let i = 0; i < COMM_WORDS; i++) if (this.#words[entry + i] !== words[at + i]) isKnown = false;
    if (isKnown) return this.#texts[place];
    const text = textUpToNul(Buffer.from(words.buffer, words.byteOffset + at * 4, COMM_BYTES));
    for (let i = 0; i < COMM_WORDS; i++) this.#words[entry + i] = words[at + i];
    this.#texts[place] = text;
    return text;
  }
}
