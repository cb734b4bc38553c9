/** Numbers families and series. Unlike a slot (an index in a snapshot), a number never changes its meaning. */
import { gridOf, type HistogramGrid } from '../model/histogram-grid.ts';
import type { FamilySnapshot, MetricSpec } from '../model/metric.ts';

export interface HistoryFamily {
  number: number;
  spec: MetricSpec;
  /** Label values of each series, indexed by series number. */
  series: (readonly string[])[];
  /** Buckets of a histogram. Undefined for a counter. */
  grid: HistogramGrid | undefined;
}

interface Entry extends HistoryFamily {
  byLabels: Map<string, number>;
}

export interface Catalogue {
  families(): readonly HistoryFamily[];
  find(name: string): HistoryFamily | undefined;
  /** Returns a snapshot's family, and creates it if necessary. Undefined for gauges, because they have no history. */
  familyOf(snapshot: FamilySnapshot): HistoryFamily | undefined;
  /** Returns the series number of each slot. Returns the same array again while all slots keep their series. */
  numbersOf(family: HistoryFamily, snapshot: FamilySnapshot): readonly number[];
}

export function makeCatalogue(): Catalogue {
  const all: Entry[] = [];
  /** The latest family of each name. */
  const byName = new Map<string, Entry>();
  /** Results of `numbersOf` by `labelValues`, because snapshots reuse this array while slots keep their series. */
  const numbersByLabels = new WeakMap<readonly string[], number[]>();

  const numberOf = (entry: Entry, values: readonly string[]): number => {
    const key = JSON.stringify(values);
    let number = entry.byLabels.get(key);
    if (number === undefined) {
      number = entry.series.push(values) - 1;
      entry.byLabels.set(key, number);
    }
    return number;
  };

  return {
    families: () => [...byName.values()],
    find: (name) => byName.get(name),
    familyOf: ({ spec }) => {
      if (spec.kind !== 'counter' && spec.kind !== 'histogram') return undefined;
      const latest = byName.get(spec.name);
      if (latest !== undefined && areAlike(latest.spec, spec)) return latest;
      // A reload has changed labels or buckets. Use an earlier entry with the same labels and buckets.
      let entry = all.find((one) => one.spec.name === spec.name && areAlike(one.spec, spec));
      if (entry === undefined) {
        const grid = spec.kind === 'histogram' ? gridOf(spec) : undefined;
        entry = { number: all.length, spec, series: [], grid, byLabels: new Map() };
        all.push(entry);
      }
      byName.set(spec.name, entry);
      return entry;
    },
    numbersOf: (family, { labelValues, seriesCount, spec }) => {
      let numbers = numbersByLabels.get(labelValues);
      if (numbers === undefined) {
        numbers = [];
        numbersByLabels.set(labelValues, numbers);
      }
      const width = spec.labels.length;
      for (let slot = numbers.length; slot < seriesCount; slot++)
        numbers.push(numberOf(family as Entry, labelValues.slice(slot * width, (slot + 1) * width)));
      return numbers;
    },
  };
}

/** Returns whether series numbers and buckets of one family are also valid for the other family. */
function areAlike(a: MetricSpec, b: MetricSpec): boolean {
  return a.kind === b.kind && areEqual(a.labels, b.labels) && areEqual(a.bounds, b.bounds);
}

function areEqual<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
