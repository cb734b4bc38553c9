import type { FamilySnapshot, MetricSpec } from '../model/metric.ts';
import { grownFloats } from './columns.ts';
import type { Family } from './family.ts';
import { labelsSince } from './series-labels.ts';
import { SeriesTable } from './series-table.ts';

/** Number of parts of the window. A maximum stays at most one part longer than the window. */
const PARTS = 8;

/**
 * The largest value of each slot in a sliding window; a series without samples in the window is not exported. Callers
 * must call `rotate(nowMs)` before recording and before a snapshot.
 */
export class MaxGaugeFamily implements Family {
  readonly table: SeriesTable;
  readonly #partMs: number;
  readonly #parts: Float64Array[] = Array.from({ length: PARTS + 1 }, () => new Float64Array(0));
  #current = 0;
  #partEndsMs = Number.NaN;

  constructor(spec: MetricSpec, windowMs: number) {
    this.table = new SeriesTable(spec);
    this.#partMs = windowMs / PARTS;
  }

  slot(values: readonly string[]): number {
    return this.#withRoom(this.table.slot(values));
  }

  hold(): number {
    return this.#withRoom(this.table.hold());
  }

  move(from: number, into: number): void {
    for (const part of this.#parts) part[into] = Math.max(part[into], part[from]);
    this.remove(from);
  }

  remove(slot: number): void {
    this.table.remove(slot);
    for (const part of this.#parts) part[slot] = Number.NEGATIVE_INFINITY;
  }

  #withRoom(slot: number): number {
    for (let p = 0; p < this.#parts.length; p++) {
      const old = this.#parts[p];
      if (slot < old.length) continue;
      this.#parts[p] = grownFloats(old, slot + 1).fill(Number.NEGATIVE_INFINITY, old.length);
    }
    return slot;
  }

  record(slot: number, value: number): void {
    const part = this.#parts[this.#current];
    if (value > part[slot]) part[slot] = value;
  }

  /** Drops the parts of the window that are too old. `nowMs`: monotonic time. */
  rotate(nowMs: number): void {
    if (Number.isNaN(this.#partEndsMs)) this.#partEndsMs = nowMs + this.#partMs;
    for (let steps = 0; nowMs >= this.#partEndsMs; this.#partEndsMs += this.#partMs) {
      if (steps++ > PARTS) {
        this.#partEndsMs = nowMs + this.#partMs;
        return;
      }
      this.#current = (this.#current + 1) % this.#parts.length;
      this.#parts[this.#current].fill(Number.NEGATIVE_INFINITY);
    }
  }

  release(label: string, value: string): void {
    for (const slot of this.table.release(label, value)) {
      for (const part of this.#parts) part[slot] = Number.NEGATIVE_INFINITY;
    }
  }

  snapshot(labelsFrom: number): FamilySnapshot {
    const values = new Float64Array(this.table.length);
    for (let s = 0; s < values.length; s++) {
      let max = Number.NEGATIVE_INFINITY;
      for (const part of this.#parts) if (part[s] > max) max = part[s];
      const isShown = max !== Number.NEGATIVE_INFINITY && this.table.labelsOf(s) !== undefined;
      values[s] = isShown ? max : Number.NaN;
    }
    return { ...labelsSince(this.table, labelsFrom), values };
  }
}
