/**
 * Remembers each series between pushes: its attributes, made once, and when its count began. If a value has fallen, the
 * series was restarted, as all are with the capture thread; a new series began after the last push. In both cases the
 * time of the last push is the latest moment that certainly precedes its first count, so it becomes the start time.
 */
import type { FamilySnapshot } from '../../model/metric.ts';
import { labelPairs } from '../families.ts';

/** Seconds and nanoseconds since 1970, the SDK's form of a time. */
export type HrTime = [number, number];

export interface SeriesState {
  /** Identifies the series within its family. */
  key: string;
  attributes: Record<string, string>;
  /** When the count of the series began. */
  start: HrTime;
  /** Count of the series when it was last seen. */
  last: number;
}

export interface SeriesStates {
  /** States of a family's series by index. `place` distinguishes families with the same name. */
  ofFamily(family: FamilySnapshot, place: number): SeriesState[];
  /** When the count of a series with this current value began. */
  startOf(state: SeriesState, value: number): HrTime;
  /** Call it after a push with values of `time`. */
  pushed(time: HrTime): void;
}

/** `start` is when the program began to count. */
export function createSeriesStates(constant: Readonly<Record<string, string>>, start: HrTime): SeriesStates {
  /** By the array of label values; a new array means that series have moved. */
  const lists = new WeakMap<readonly string[], SeriesState[]>();
  const byFamily = new Map<string, Map<string, SeriesState>>();
  let latest = start;

  const stateOf = (
    labels: readonly string[],
    values: readonly string[],
    before?: Map<string, SeriesState>,
  ) => {
    const attributes = Object.fromEntries(labelPairs(constant, labels, values));
    const key = JSON.stringify(values);
    return before?.get(key) ?? { key, attributes, start: latest, last: 0 };
  };

  return {
    ofFamily: (family, place) => {
      const { spec, labelValues, seriesCount } = family;
      if (family.labelsFrom !== 0) throw new Error(`${spec.name}: an incremental snapshot was not expanded`);
      let list = lists.get(labelValues);
      const id = `${spec.name} ${place}`;
      const before = byFamily.get(id);
      if (list !== undefined && list.length >= seriesCount) return list;
      list ??= [];
      lists.set(labelValues, list);
      const width = spec.labels.length;
      for (let s = list.length; s < seriesCount; s++) {
        list.push(stateOf(spec.labels, labelValues.slice(s * width, (s + 1) * width), before));
      }
      // Forget everything that is not in the list.
      byFamily.set(id, new Map(list.map((state) => [state.key, state])));
      return list;
    },
    startOf: (state, value) => {
      if (value < state.last) state.start = latest;
      state.last = value;
      return state.start;
    },
    pushed: (time) => {
      latest = time;
    },
  };
}
