import type { FamilySnapshot } from '../model/metric.ts';
import type { SeriesTable } from './series-table.ts';

/** What the store needs from every kind of family. A *slot* is the index of a series in its family. */
export interface Family {
  readonly table: SeriesTable;
  /** Copies all values, and the label values of series from index `labelsFrom` on. */
  snapshot(labelsFrom: number): FamilySnapshot;
  /** Returns the slot for label values. Slow: callers should keep the slot. */
  slot(values: readonly string[]): number;
  /** Returns a slot for values whose labels are not known yet. Held values are not exported until they are moved. */
  hold(): number;
  /** Adds the values of slot `from` to slot `into`, and frees `from`. */
  move(from: number, into: number): void;
  /** Drops a series, or a slot from `hold`. */
  remove(slot: number): void;
  /** Drops all series whose `label` has this value. Their slots become invalid. */
  release(label: string, value: string): void;
}
