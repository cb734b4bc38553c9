import type { FamilySnapshot } from '../model/metric.ts';
import type { SeriesTable } from './series-table.ts';

/** The operations that the store calls on every kind of family. */
export interface Family {
  readonly table: SeriesTable;
  /** Copies all values, but only the label values of series from index `labelsFrom` on. */
  snapshot(labelsFrom: number): FamilySnapshot;
  /** Returns the slot for label values. Callers should keep the slot, because the look-up is slow. */
  slot(values: readonly string[]): number;
  /**
   * Returns a slot for values whose labels are not known yet. The values are not exported until `move` adds them to
   * another slot.
   */
  hold(): number;
  /** Adds the values of slot `from` to slot `into`, and frees `from`. */
  move(from: number, into: number): void;
  /** Drops one series, or a slot from `hold`. */
  remove(slot: number): void;
  /** Drops all series whose `label` has this value. The slots become invalid. */
  release(label: string, value: string): void;
}
