/** Keeps two rings of columns, of one and of ten seconds. A gap is a column for a time without snapshots. */
import type { MetricSnapshot } from '../model/metric.ts';
import { type Catalogue, makeCatalogue } from './catalogue.ts';
import { type Moment, makeColumnEncoder, momentOf } from './column.ts';
import { type Column, type Columns, makeRing, type Ring } from './ring.ts';

export const FINE_STEP_MS = 1000;
export const COARSE_STEP_MS = 10_000;
/** With these limits, columns, catalogue and two snapshots use less than 16 MiB. */
const MAX_FINE_BYTES = 5 << 20;
const MAX_COARSE_BYTES = 9 << 20;

export interface HistoryConfig {
  fineMs: number;
  coarseMs: number;
}

export interface HistoryData {
  /** `time`: Unix time; `recording`: time since the first event of a recording. */
  axis: 'time' | 'recording';
  catalogue: Pick<Catalogue, 'families' | 'find'>;
  /** Finest resolution first. */
  rings: readonly Columns[];
}

export interface History extends HistoryData {
  /** Adds the column that ends at `endMs` (Unix time). `isReady`: whether the agent was ready then. */
  take(snapshots: readonly MetricSnapshot[], endMs: number, isReady: boolean): void;
  /** Records that there is no snapshot at `endMs`. The time from the previous to the next snapshot becomes a gap. */
  miss(endMs: number): void;
  /** Calls the listener with each new column of the finest resolution. Returns a function that removes the listener. */
  onColumn(listener: (column: Column) => void): () => void;
}

interface Track {
  ring: Ring;
  /** State at the start of the next column. Undefined after a gap. */
  before: Moment | undefined;
  /** 0 if the start of the next column is unknown. */
  beforeMs: number;
}

export function makeHistory({ fineMs, coarseMs }: HistoryConfig): History {
  const catalogue = makeCatalogue();
  const encoder = makeColumnEncoder();
  const listeners = new Set<(column: Column) => void>();
  const fine = makeTrack('fine', FINE_STEP_MS, fineMs, MAX_FINE_BYTES);
  const coarse = makeTrack('coarse', COARSE_STEP_MS, coarseMs, MAX_COARSE_BYTES);
  let blindSinceCoarse = false;

  const add = (track: Track, after: Moment | undefined, endMs: number, isReady: boolean): Column => {
    const { before, ring } = track;
    const spanMs = track.beforeMs === 0 ? ring.stepMs : endMs - track.beforeMs;
    const bytes = before === undefined || after === undefined ? undefined : encoder.encode(before, after);
    const column = { endMs, spanMs, bytes, isReady };
    ring.push(column);
    track.before = after;
    track.beforeMs = endMs;
    return column;
  };
  /** If the clock was set back, the length of the next columns is unknown, so they become gaps. */
  const checkClock = (endMs: number) => {
    if (endMs > fine.beforeMs) return;
    for (const track of [fine, coarse]) {
      track.before = undefined;
      track.beforeMs = 0;
    }
  };
  const announce = (column: Column) => {
    for (const listener of listeners) listener(column);
  };
  /** Returns true for the very first snapshot, which is the start of the first columns and ends no column. */
  const begin = (moment: Moment, endMs: number): boolean => {
    if (fine.ring.columns.length > 0 || fine.before !== undefined) return false;
    for (const track of [fine, coarse]) {
      track.before = moment;
      track.beforeMs = endMs;
    }
    return true;
  };

  return {
    axis: 'time',
    catalogue,
    rings: [fine.ring, coarse.ring],
    take: (snapshots, endMs, isReady) => {
      const moment = momentOf(snapshots, catalogue);
      checkClock(endMs);
      if (begin(moment, endMs)) return;
      const column = add(fine, moment, endMs, isReady);
      // After a gap or restart, the difference over ten seconds would be wrong. Make this column a gap too.
      if (column.bytes === undefined) coarse.before = undefined;
      blindSinceCoarse ||= !isReady;
      if (endMs - coarse.beforeMs >= COARSE_STEP_MS - FINE_STEP_MS / 2) {
        add(coarse, moment, endMs, !blindSinceCoarse);
        blindSinceCoarse = false;
      }
      announce(column);
    },
    miss: (endMs) => {
      checkClock(endMs);
      const column = add(fine, undefined, endMs, false);
      coarse.before = undefined;
      if (endMs - coarse.beforeMs >= COARSE_STEP_MS - FINE_STEP_MS / 2) add(coarse, undefined, endMs, false);
      announce(column);
    },
    onColumn: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function makeTrack(name: string, stepMs: number, keepMs: number, maxBytes: number): Track {
  return { ring: makeRing(name, stepMs, keepMs, maxBytes), before: undefined, beforeMs: 0 };
}
