/**
 * Chooses the pairs of containers (see container-waits.ts) that get their own series: those that grew most in recent
 * rounds. A round is one update of the metrics. A pair replaces a chosen pair only if it grew more than twice as much,
 * so the choice rarely changes.
 */
import { PAIRS } from './container-waits.ts';

const DECAY = 0.5;
const MARGIN = 2;

export class LargestPairs {
  readonly #limit: number;
  readonly #recent = new Float64Array(PAIRS);
  readonly #places = new Set<number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(pair: number): boolean {
    return this.#places.has(pair);
  }

  /** Begins a round. Halves the stored growth, so that recent rounds count more. */
  begin(): void {
    for (let pair = 0; pair < this.#recent.length; pair++) this.#recent[pair] *= DECAY;
  }

  grew(pair: number, by: number): void {
    this.#recent[pair] += by;
  }

  /** Ends a round, given the pairs that grew. Calls `lost` for each pair that is no longer chosen. */
  settle(grown: readonly number[], lost: (pair: number) => void): void {
    const waiting = grown.filter((pair) => !this.#places.has(pair));
    waiting.sort((a, b) => this.#recent[b] - this.#recent[a]);
    for (const pair of waiting) {
      if (this.#places.size >= this.#limit) {
        const smallest = this.#smallest();
        if (smallest === undefined || this.#recent[pair] <= this.#recent[smallest] * MARGIN) return;
        this.#places.delete(smallest);
        lost(smallest);
      }
      this.#places.add(pair);
    }
  }

  forget(pair: number): void {
    this.#places.delete(pair);
    this.#recent[pair] = 0;
  }

  #smallest(): number | undefined {
    let smallest: number | undefined;
    for (const pair of this.#places)
      if (smallest === undefined || this.#recent[pair] < this.#recent[smallest]) smallest = pair;
    return smallest;
  }
}
