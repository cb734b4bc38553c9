import type { MetricSpec } from '../model/metric.ts';

/** Value of open labels beyond the limit. *Open* labels have values that are not known in advance. */
export const OTHER = 'other';

/**
 * Maps label values to slots. Allows at most `spec.maxSeries` combinations of open labels; further combinations share
 * the series `other`.
 */
export class SeriesTable {
  readonly spec: MetricSpec;
  /** Changes whenever a slot is released or reused. */
  epoch = 0;
  /** How often label values were replaced by `other`. */
  overflows = 0;
  readonly #slots = new Map<string, number>();
  readonly #admitted = new Map<string, number>();
  readonly #openAt: readonly number[];
  readonly #labels: (readonly string[] | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #held = new Set<number>();

  constructor(spec: MetricSpec) {
    this.spec = spec;
    this.#openAt = spec.open.map((label) => spec.labels.indexOf(label));
    if (this.#openAt.includes(-1)) throw new Error(`${spec.name}: an open label is not one of its labels`);
  }

  /** Number of slots, including released ones. */
  get length(): number {
    return this.#labels.length;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Label values of a slot; undefined if it is free or comes from `hold`. */
  labelsOf(slot: number): readonly string[] | undefined {
    return this.#labels[slot];
  }

  /** Returns the slot for label values, which have the order of `spec.labels`. */
  slot(values: readonly string[]): number {
    if (values.length !== this.spec.labels.length) {
      throw new Error(`${this.spec.name} takes ${this.spec.labels.length} labels, not ${values.length}`);
    }
    const key = JSON.stringify(values);
    const existing = this.#slots.get(key);
    if (existing !== undefined) return existing;
    if (this.#openAt.length > 0 && !this.#admit(values)) {
      this.overflows++;
      const folded = values.map((value, i) => (this.#openAt.includes(i) ? OTHER : value));
      const foldedKey = JSON.stringify(folded);
      return this.#slots.get(foldedKey) ?? this.#take(foldedKey, folded);
    }
    return this.#take(key, [...values]);
  }

  /** Drops all series whose `label` has this value. Returns their slots. */
  release(label: string, value: string): number[] {
    const at = this.spec.labels.indexOf(label);
    const gone: number[] = [];
    for (const [key, slot] of this.#slots) {
      const values = this.#labels[slot];
      if (values === undefined || values[at] !== value) continue;
      this.#slots.delete(key);
      this.#leave(values);
      this.#labels[slot] = undefined;
      this.#free.push(slot);
      gone.push(slot);
    }
    if (gone.length > 0) this.epoch++;
    return gone;
  }

  /** Returns a slot for values whose labels are not known yet. */
  hold(): number {
    const slot = this.#free.pop() ?? this.#labels.length;
    this.#labels[slot] = undefined;
    this.#held.add(slot);
    return slot;
  }

  /** Drops a series, or a slot from `hold`. */
  remove(slot: number): void {
    const values = this.#labels[slot];
    if (this.#held.delete(slot)) this.#free.push(slot);
    if (values === undefined) return;
    this.#slots.delete(JSON.stringify(values));
    this.#leave(values);
    this.#labels[slot] = undefined;
    this.#free.push(slot);
    this.epoch++;
  }

  #openKey(values: readonly string[]): string {
    return JSON.stringify(this.#openAt.map((i) => values[i]));
  }

  #admit(values: readonly string[]): boolean {
    const key = this.#openKey(values);
    const users = this.#admitted.get(key);
    const isOther = this.#openAt.every((i) => values[i] === OTHER);
    if (users === undefined && !isOther && this.#admitted.size >= this.spec.maxSeries) return false;
    if (!isOther) this.#admitted.set(key, (users ?? 0) + 1);
    return true;
  }

  #leave(values: readonly string[]): void {
    const key = this.#openKey(values);
    const users = this.#admitted.get(key);
    if (users === undefined) return;
    if (users === 1) this.#admitted.delete(key);
    else this.#admitted.set(key, users - 1);
  }

  #take(key: string, values: readonly string[]): number {
    const reused = this.#free.pop();
    const slot = reused ?? this.#labels.length;
    if (reused !== undefined) this.epoch++;
    this.#labels[slot] = values;
    this.#slots.set(key, slot);
    return slot;
  }
}
