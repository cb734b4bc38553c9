/**
 * What is remembered of each series from push to push: its attributes, made once, and since when it counts. A series
 * whose value has fallen was started anew, as all are with the capture thread; one that is new since the last push began
 * after it. In either case that push is the latest moment when nothing of it can have been counted.
 */
import type { FamilySnapshot } from '../../model/metric.ts';
import { labelPairs } from '../families.ts';

/** Seconds and nanoseconds since 1970, as the SDK takes times. */
export type HrTime = [number, number];

export interface SeriesState {
  /** Tells series of a name apart. */
  key: string;
  attributes: Record<string, string>;
  /** Since when it counts. */
  start: HrTime;
  /** Its count when it was last seen. */
  last: number;
}

export interface SeriesStates {
  /** States of the series of a family by index; `place` tells families of one name apart. */
  of(family: FamilySnapshot, place: number): SeriesState[];
  /** Since when a series counts that has this value now. */
  startOf(state: SeriesState, value: number): HrTime;
  /** A push was made, as of `time`. */
  pushed(time: HrTime): void;
}

/** `start`: when the program began to count. */
export function createSeriesStates(constant: Readonly<Record<string, string>>, start: HrTime): SeriesStates {
  /** By the array of label values, which is another one when series have changed their places. */
  const lists = new WeakMap<readonly string[], SeriesState[]>();
  const known = new Map<string, Map<string, SeriesState>>();
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
    of: (family, place) => {
      const { spec, labelValues, seriesCount } = family;
      if (family.labelsFrom !== 0) throw new Error(`${spec.name}: an incremental snapshot was not expanded`);
      let list = lists.get(labelValues);
      const id = `${spec.name} ${place}`;
      const before = known.get(id);
      if (list !== undefined && list.length >= seriesCount) return list;
      list ??= [];
      lists.set(labelValues, list);
      const width = spec.labels.length;
      for (let s = list.length; s < seriesCount; s++) {
        list.push(stateOf(spec.labels, labelValues.slice(s * width, (s + 1) * width), before));
      }
      // Whatever is not in the list is gone.
      known.set(id, new Map(list.map((state) => [state.key, state])));
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
