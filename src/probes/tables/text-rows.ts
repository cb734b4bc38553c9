/** Assigns a row (a small number) to each distinct text. Creates a string only for a new text. */
import { hashByte } from '../../decode/text/name-table.ts';

export const OTHER = 'other';
/** At most a quarter of the places are used. */
const PLACES = 4096;
const MOST_TEXTS = PLACES / 4;

export class TextRows {
  /** Text by row. Row 0 stands for all texts beyond the limit. */
  readonly names: string[] = [OTHER];
  readonly #spelled: Uint8Array[] = [new Uint8Array(0)];
  readonly #places = new Int32Array(PLACES);
  #last = 0;
  readonly #maxTexts: number;
  readonly #onRefused: () => void;

  /** `onRefused` is called when a text gets row 0 because there are already `maxTexts` rows. */
  constructor(maxTexts: number, onRefused: () => void) {
    this.#maxTexts = Math.min(maxTexts, MOST_TEXTS - 1);
    this.#onRefused = onRefused;
  }

  row(bytes: Uint8Array, from: number, to: number): number {
    // Consecutive records often have the same text.
    if (this.#last !== 0 && isSame(this.#spelled[this.#last], bytes, from, to)) return this.#last;
    let hash = 0;
    for (let i = from; i < to; i++) hash = hashByte(hash, bytes[i]);
    let place = (hash ^ (hash >>> 15)) & (PLACES - 1);
    for (;;) {
      const row = this.#places[place];
      if (row === 0) return this.#add(place, bytes, from, to);
      if (isSame(this.#spelled[row], bytes, from, to)) {
        this.#last = row;
        return row;
      }
      place = (place + 1) & (PLACES - 1);
    }
  }

  #add(place: number, bytes: Uint8Array, from: number, to: number): number {
    if (this.names.length > this.#maxTexts) {
      this.#onRefused();
      return 0;
    }
    const text = bytes.slice(from, to);
    this.#places[place] = this.names.length;
    this.#spelled.push(text);
    return this.names.push(Buffer.from(text).toString('utf8')) - 1;
  }
}

function isSame(text: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false;
  for (let i = 0; i < text.length; i++) if (text[i] !== bytes[from + i]) return false;
  return true;
}
