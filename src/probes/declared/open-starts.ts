/**
 * Stores the start events of a metric until their end events occur: by task, by CPU, or by any other key. Start times
 * (stamps) and numbers that the caller chooses (tags) are indexed by place. Place 0 means "no start".
 */

import { wordOffset } from '../../decode/fields.ts';
import { CPU, type KeyPart, type Nesting, TASK } from '../../model/declared-metric.ts';
import type { EventFormat } from '../../model/format.ts';
import type { EventRecord } from '../../model/record.ts';
import { PairTable } from '../tables/pair-table.ts';
import { TaskStamps } from '../tables/task-stamps.ts';
import { type Keys, makeKeys } from './key.ts';

/** Maximum number of starts per metric, if stored by any other key. */
const CAPACITY = 16384;

export interface OpenStarts {
  /** By place. A stamp is 0 if the place is free. `values` exists if the shape has `hasValues`. */
  readonly columns: {
    readonly stamps: Float64Array;
    readonly tags: Int32Array;
    readonly values?: Float64Array;
  };
  /**
   * Returns the place where the caller must store the start; 0 if it cannot be stored. If the place already has a
   * stamp, a previous start with this key has no end yet.
   */
  begin(record: EventRecord): number;
  /** Returns the place of the end event's start. If there is none, the stamp at the place is 0. */
  end(record: EventRecord): number;
  /** Frees a place that `end` returned. */
  free(place: number): void;
}

export interface PairShape {
  key: readonly KeyPart[];
  nested: Nesting;
  start: EventFormat;
  end: EventFormat;
  cpuCount: number;
  hasValues: boolean;
  onEvicted(count: number): void;
}

/** Whether every operation begins and ends on the same CPU. */
export function isOnOneCpu(key: readonly KeyPart[]): boolean {
  return key.some(({ start, end }) => start === CPU && end === CPU);
}

/** Throws an `Error` if a field is missing or cannot be part of a key. */
export function makeOpenStarts(shape: PairShape): OpenStarts {
  const { key, nested, start, end, cpuCount, hasValues, onEvicted } = shape;
  const only =
    key.length === 1 && key[0].mask === undefined && nested !== 'stack' && !hasValues ? key[0] : undefined;
  if (only?.start === TASK && only.end === TASK)
    return new TaskStarts(wordOffset(start, TASK), wordOffset(end, TASK));
  if (only !== undefined && isOnOneCpu(key)) return new CpuStarts(cpuCount);
  return new KeyedStarts(makeKeys(key, start, end), nested === 'stack', onEvicted);
}

class TaskStarts implements OpenStarts {
  readonly columns = new TaskStamps();
  readonly #startPid: number;
  readonly #endPid: number;

  constructor(startPid: number, endPid: number) {
    this.#startPid = startPid;
    this.#endPid = endPid;
  }

  begin(record: EventRecord): number {
    return this.columns.place(record.words[(record.offset >> 2) + this.#startPid]);
  }

  end(record: EventRecord): number {
    return this.columns.at(record.words[(record.offset >> 2) + this.#endPid]);
  }

  free(place: number): void {
    this.columns.stamps[place] = 0;
  }
}

class CpuStarts implements OpenStarts {
  readonly columns: { stamps: Float64Array; tags: Int32Array };
  readonly #cpuCount: number;

  constructor(cpuCount: number) {
    this.#cpuCount = cpuCount;
    this.columns = { stamps: new Float64Array(cpuCount + 1), tags: new Int32Array(cpuCount + 1) };
  }

  begin({ cpu }: EventRecord): number {
    return cpu < this.#cpuCount ? cpu + 1 : 0;
  }

  end(record: EventRecord): number {
    return this.begin(record);
  }

  free(place: number): void {
    this.columns.stamps[place] = 0;
  }
}

class KeyedStarts implements OpenStarts {
  readonly columns: PairTable;
  readonly #keys: Keys;
  readonly #isStack: boolean;

  constructor(keys: Keys, isStack: boolean, onEvicted: (count: number) => void) {
    this.#keys = keys;
    this.#isStack = isStack;
    this.columns = new PairTable(keys.width, CAPACITY, onEvicted);
  }

  begin(record: EventRecord): number {
    const table = this.columns;
    this.#keys.start(record, table.key);
    const entry = table.find();
    return this.#isStack || entry === 0 ? table.add() : entry;
  }

  end(record: EventRecord): number {
    this.#keys.end(record, this.columns.key);
    return this.columns.find();
  }

  free(place: number): void {
    this.columns.remove(place);
  }
}
