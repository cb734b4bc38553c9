import type { FamilySnapshot } from '../model/metric.ts';
import type { SeriesTable } from './series-table.ts';

/** What the store needs from each kind of family. */
export interface Family {
  readonly table: SeriesTable;
  /** Copies all values, and the label values of the series from index `labelsFrom` on. */
  snapshot(labelsFrom: number): FamilySnapshot;
  /** Drops all series whose `label` has this value. */
  release(label: string, value: string): void;
}
