import type { FamilySnapshot, MetricSpec } from '../model/metric.ts';
import { grownFloats } from './columns.ts';
import type { Family } from './family.ts';
import { labelsSince } from './series-labels.ts';
import { SeriesTable } from './series-table.ts';

/** Counters and gauges. A gauge that is NaN is not exported. */
export class ValueFamily implements Family {
  readonly table: SeriesTable;
  /** Value by slot. Public, because V8 would not treat a private field as a constant. */
  values = new Float64Array(16);

  constructor(spec: MetricSpec) {
    this.table = new SeriesTable(spec);
  }

  /** Returns the slot for label values. The series is exported from now on. */
  slot(values: readonly string[]): number {
    return this.#withRoom(this.table.slot(values));
  }

  hold(): number {
    return this.#withRoom(this.table.hold());
  }

  move(from: number, into: number): void {
    this.values[into] += this.values[from];
    this.remove(from);
  }

  add(slot: number, amount: number): void {
    this.values[slot] += amount;
  }

  set(slot: number, value: number): void {
    this.values[slot] = value;
  }

  get(slot: number): number {
    return this.values[slot];
  }

  release(label: string, value: string): void {
    for (const slot of this.table.release(label, value)) this.values[slot] = 0;
  }

  remove(slot: number): void {
    this.table.remove(slot);
    this.values[slot] = 0;
  }

  snapshot(labelsFrom: number): FamilySnapshot {
    const values = this.values.slice(0, this.table.length);
    for (let s = 0; s < values.length; s++) if (this.table.labelsOf(s) === undefined) values[s] = Number.NaN;
    return { ...labelsSince(this.table, labelsFrom), values };
  }

  /** Makes room for this many series. V8 treats `values` as a constant only until it is replaced. */
  reserve(series: number): void {
    this.#withRoom(series - 1);
  }

  #withRoom(slot: number): number {
    if (slot >= this.values.length) this.values = grownFloats(this.values, slot + 1);
    return slot;
  }
}
