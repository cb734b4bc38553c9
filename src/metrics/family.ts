import type { FamilySnapshot } from '../model/metric.ts';
import type { SeriesTable } from './series-table.ts';

/** The operations that the store calls on every kind of family. */
export interface Family {
  readonly table: SeriesTable;
  /** Copies all values. Copies label values only for series from index `labelsFrom` on. */
  snapshot(labelsFrom: number): FamilySnapshot;
  /** Drops all series whose `label` has this value. */
  release(label: string, value: string): void;
}
