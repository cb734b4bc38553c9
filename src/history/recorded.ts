/**
 * Makes the history of a recording. A column (the changes in a period of time) first covers one millisecond. Whenever
 * there are too many columns, joins adjacent ones, because the length of the recording is unknown.
 */
import { gridOf } from '../model/histogram-grid.ts';
import type { MetricSnapshot, MetricSpec } from '../model/metric.ts';
import { type HistoryFamily, makeCatalogue } from './catalogue.ts';
import { type Moment, makeColumnEncoder, momentOf } from './column.ts';
import type { HistoryData } from './history.ts';
import type { Column } from './ring.ts';
import { joinColumns } from './sums.ts';

const MAX_COLUMNS = 600;
const FIRST_STEP_NS = 1e6;

export interface RecordedHistory {
  stepMs: number;
  families: { spec: MetricSpec; series: (readonly string[])[] }[];
  /** Columns of `stepMs` since the first event, without gaps. */
  columns: Uint8Array[];
}

export interface HistoryRecorder {
  /** An event at or after this time begins a new column. -Infinity before the first event. */
  nextNs: number;
  /** Ends the current column. Call it before processing an event if `eventNs` is `nextNs` or later. */
  cut(eventNs: number, snapshot: () => MetricSnapshot): void;
  /** Ends the last column, and returns the history. */
  end(snapshot: () => MetricSnapshot): RecordedHistory;
}

export function makeHistoryRecorder(): HistoryRecorder {
  const catalogue = makeCatalogue();
  const encoder = makeColumnEncoder();
  let columns: Uint8Array[] = [];
  let startNs = 0;
  let stepNs = FIRST_STEP_NS;
  let isFive = false;
  let before: Moment = new Map();
  /** First part of the current column, if that part was encoded before `widen` made the columns longer. */
  let begun: Uint8Array | undefined;

  const endColumn = (snapshot: MetricSnapshot) => {
    const after = momentOf([snapshot], catalogue);
    const bytes = encoder.encode(before, after) ?? new Uint8Array(0);
    columns.push(begun === undefined ? bytes : joinColumns([begun, bytes], catalogue.families()));
    begun = undefined;
    before = after;
  };
  /** Joins adjacent columns into columns of the next length: 1, 2, 10, 20, 100, 200 ms and so on. */
  const widen = () => {
    const factor = isFive ? 5 : 2;
    isFive = !isFive;
    const wider: Uint8Array[] = [];
    for (let i = 0; i < columns.length; i += factor)
      wider.push(joinColumns(columns.slice(i, i + factor), catalogue.families()));
    columns = wider;
    stepNs *= factor;
  };

  const recorder: HistoryRecorder = {
    nextNs: Number.NEGATIVE_INFINITY,
    cut: (eventNs, snapshot) => {
      if (recorder.nextNs === Number.NEGATIVE_INFINITY) {
        startNs = eventNs;
        before = momentOf([snapshot()], catalogue);
      } else {
        endColumn(snapshot());
        while ((eventNs - startNs) / stepNs >= MAX_COLUMNS) widen();
        const at = Math.floor((eventNs - startNs) / stepNs);
        while (columns.length < at) columns.push(new Uint8Array(0));
        if (columns.length > at) begun = columns.pop();
      }
      recorder.nextNs = startNs + (columns.length + 1) * stepNs;
    },
    end: (snapshot) => {
      if (recorder.nextNs !== Number.NEGATIVE_INFINITY) endColumn(snapshot());
      const families = catalogue.families().map(({ spec, series }) => ({ spec, series }));
      return { stepMs: stepNs / 1e6, families, columns };
    },
  };
  return recorder;
}

/** Converts the recorder's plain data to the history that the main thread serves. */
export function historyOfRecording({ stepMs, families, columns }: RecordedHistory): HistoryData {
  const entries: HistoryFamily[] = families.map(({ spec, series }, number) => ({
    number,
    spec,
    series,
    grid: spec.kind === 'histogram' ? gridOf(spec) : undefined,
  }));
  const ring = columns.map(
    (bytes, i): Column => ({ endMs: (i + 1) * stepMs, spanMs: stepMs, bytes, isReady: true }),
  );
  return {
    axis: 'recording',
    catalogue: {
      families: () => entries,
      find: (name) => entries.find(({ spec }) => spec.name === name),
    },
    rings: [{ name: 'fine', stepMs, keepMs: columns.length * stepMs, columns: ring }],
  };
}
