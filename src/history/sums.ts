/** Adds up the changes of several columns, by series or by group of series. */
import type { HistoryFamily } from './catalogue.ts';
import { type ColumnVisitor, visitFamily, writeFamily } from './column.ts';
import { ByteWriter } from './varint.ts';

export interface Sum {
  /** Counters: the increase in recorded units. Histograms: the sum of the new values in recorded units, usually ns. */
  sum: number;
  /** Histograms: counts by bucket code (see column.ts). Empty for counters. */
  counts: Map<number, number>;
}

/** Adds a family's changes in one column to `sums`. `groupOf` returns undefined to skip a series. */
export function addFamily(
  bytes: Uint8Array,
  family: HistoryFamily,
  groupOf: (series: number) => number | undefined,
  sums: Map<number, Sum>,
): void {
  let current: Sum | undefined;
  const sumOf = (series: number): Sum | undefined => {
    const group = groupOf(series);
    if (group === undefined) return undefined;
    let sum = sums.get(group);
    if (sum === undefined) {
      sum = { sum: 0, counts: new Map() };
      sums.set(group, sum);
    }
    return sum;
  };
  const visitor: ColumnVisitor = {
    counter: (series, difference) => {
      const sum = sumOf(series);
      if (sum !== undefined) sum.sum += difference;
    },
    histogram: (series, sumNs) => {
      current = sumOf(series);
      if (current !== undefined) current.sum += sumNs;
    },
    bucket: (_series, code, count) => {
      current?.counts.set(code, (current.counts.get(code) ?? 0) + count);
    },
  };
  visitFamily(bytes, family, visitor);
}

/** Joins several adjacent columns into one. */
export function joinColumns(parts: readonly Uint8Array[], families: readonly HistoryFamily[]): Uint8Array {
  const column = new ByteWriter();
  for (const family of families) {
    const sums = new Map<number, Sum>();
    for (const part of parts) addFamily(part, family, (series) => series, sums);
    writeFamily(column, family, sums);
  }
  return column.view().slice();
}

export function countOf({ counts }: Sum): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
