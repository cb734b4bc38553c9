import type { FamilySnapshot } from '../model/metric.ts';
import type { SeriesTable } from './series-table.ts';

/** Returns the fields that snapshots of all kinds of families share. */
export function labelsSince(
  table: SeriesTable,
  labelsFrom: number,
): Omit<FamilySnapshot, 'values' | 'histogram'> {
  const labelValues: string[] = [];
  const blank = table.spec.labels.map(() => '');
  for (let slot = labelsFrom; slot < table.length; slot++)
    labelValues.push(...(table.labelsOf(slot) ?? blank));
  return { spec: table.spec, epoch: table.epoch, seriesCount: table.length, labelsFrom, labelValues };
}
