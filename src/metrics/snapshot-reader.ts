/**
 * Expands incremental snapshots to full ones, because a store sends each series' label values only once. A family's
 * `labelValues` stays the same array within an epoch, so that renderers can use the array as a cache key.
 */
import type { FamilySnapshot, KnownSeries, MetricSnapshot } from '../model/metric.ts';

export interface SnapshotReader {
  /** The series that the reader has. The caller sends them to the store with the next request. */
  known(): KnownSeries;
  /**
   * Returns the snapshot with all label values. Returns undefined, and forgets everything, if the snapshot does not
   * match what the reader has; the caller must then request a full snapshot.
   */
  expand(snapshot: MetricSnapshot): MetricSnapshot | undefined;
  /** Forgets all label values. Must be called when the store is recreated, because its epochs start at 0 again. */
  reset(): void;
}

interface Held {
  epoch: number;
  width: number;
  labelValues: string[];
  count: number;
}

export function createSnapshotReader(): SnapshotReader {
  let held = new Map<string, Held>();

  const join = (family: FamilySnapshot): FamilySnapshot | undefined => {
    const { name, labels } = family.spec;
    const have = held.get(name);
    const joins =
      have !== undefined &&
      have.epoch === family.epoch &&
      have.width === labels.length &&
      family.labelsFrom <= have.count &&
      agrees(have, family);
    if (joins) {
      const missing = (have.count - family.labelsFrom) * have.width;
      for (let i = missing; i < family.labelValues.length; i++) have.labelValues.push(family.labelValues[i]);
      have.count = Math.max(have.count, family.seriesCount);
      return { ...family, labelsFrom: 0, labelValues: have.labelValues };
    }
    if (family.labelsFrom > 0) return undefined;
    const labelValues = [...family.labelValues];
    held.set(name, { epoch: family.epoch, width: labels.length, labelValues, count: family.seriesCount });
    return { ...family, labelValues };
  };

  return {
    known: () => Object.fromEntries(Array.from(held, ([name, { epoch, count }]) => [name, { epoch, count }])),
    expand: (snapshot) => {
      const families: FamilySnapshot[] = [];
      for (const family of snapshot.families) {
        const full = join(family);
        if (full === undefined) {
          held = new Map();
          return undefined;
        }
        families.push(full);
      }
      return { families };
    },
    reset: () => {
      held = new Map();
    },
  };
}

/** Whether the label values in both the snapshot and the reader are equal. */
function agrees(have: Held, family: FamilySnapshot): boolean {
  const from = family.labelsFrom * have.width;
  const overlap = Math.min(family.labelValues.length, have.labelValues.length - from);
  for (let i = 0; i < overlap; i++) if (have.labelValues[from + i] !== family.labelValues[i]) return false;
  return true;
}
