/**
 * Incremental snapshots in, full ones out. A store sends the label values of a series once; this keeps them, one
 * reader a store, so that a scrape copies numbers only. The `labelValues` array of a family stays the same object
 * for as long as its series keep their places: the renderer's caches hang on it.
 */
import type { FamilySnapshot, KnownSeries, MetricSnapshot } from '../model/metric.ts';

export interface SnapshotReader {
  /** What to send to the store with the next request. */
  known(): KnownSeries;
  /**
   * The snapshot with the label values of all series. Undefined when it does not join on to what is held (it was
   * asked of another store, or answers an older request): everything is forgotten then, so ask again.
   */
  expand(snapshot: MetricSnapshot): MetricSnapshot | undefined;
  /** Forgets everything: call it when the store was made anew, because its epochs start again. */
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

/** Whether label values that were sent although they are held already say the same. */
function agrees(have: Held, family: FamilySnapshot): boolean {
  const from = family.labelsFrom * have.width;
  const overlap = Math.min(family.labelValues.length, have.labelValues.length - from);
  for (let i = 0; i < overlap; i++) if (have.labelValues[from + i] !== family.labelValues[i]) return false;
  return true;
}
