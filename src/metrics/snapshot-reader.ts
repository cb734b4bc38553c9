/**
 * Expands incremental snapshots to full ones. A store sends the label values of a series once; a reader (one per store)
 * keeps them, so that a scrape copies only numbers. A family's `labelValues` array stays the same object while its series
 * keep their places, because the renderer's caches depend on it.
 */
import type { FamilySnapshot, KnownSeries, MetricSnapshot } from '../model/metric.ts';

export interface SnapshotReader {
  /** What to send to the store with the next request. */
  known(): KnownSeries;
  /**
   * Returns the snapshot with the label values of all series. Returns undefined if it does not continue from what the
   * reader has (another store, or a reply to an older request); the reader is then empty, so request again.
   */
  expand(snapshot: MetricSnapshot): MetricSnapshot | undefined;
  /** Forgets everything. Call it when the store was recreated, because its epochs restart. */
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

/** Whether label values that were sent again equal those we hold. */
function agrees(have: Held, family: FamilySnapshot): boolean {
  const from = family.labelsFrom * have.width;
  const overlap = Math.min(family.labelValues.length, have.labelValues.length - from);
  for (let i = 0; i < overlap; i++) if (have.labelValues[from + i] !== family.labelValues[i]) return false;
  return true;
}
