import type { FamilySnapshot } from '../model/metric.ts';
import type { SeriesTable } from './series-table.ts';

/** What the store needs of every kind of family. */
export interface Family {
  readonly table: SeriesTable;
  /** A copy of all values, and of the label values of the series from index `known` on. */
  snapshot(known: number): FamilySnapshot;
  /** Drops all series whose `label` has this value. */
  release(label: string, value: string): void;
}
