import type { FamilySnapshot } from '../model/metric.ts';
import type { SeriesTable } from './series-table.ts';

/** The part of a snapshot that is the same for every kind: label values of the series the reader lacks. */
export function labelsSince(table: SeriesTable, known: number): Omit<FamilySnapshot, 'values' | 'histogram'> {
  const labelValues: string[] = [];
  const blank = table.spec.labels.map(() => '');
  for (let slot = known; slot < table.length; slot++) labelValues.push(...(table.labelsOf(slot) ?? blank));
  return { spec: table.spec, epoch: table.epoch, seriesCount: table.length, labelsFrom: known, labelValues };
}
