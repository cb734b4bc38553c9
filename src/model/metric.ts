export type MetricKind = 'counter' | 'gauge' | 'histogram' | 'max_gauge';

/** A metric family, as data. docs/metrics.md lists all names. */
export interface MetricSpec {
  /** Full Prometheus name: contains the base unit, and `_total` for counters. */
  name: string;
  help: string;
  kind: MetricKind;
  /** Base unit in OpenMetrics: `seconds`, `bytes`, `ratio`; '' for plain counts. */
  unit: string;
  /** Label names, in the order in which `slot()` takes values. */
  labels: readonly string[];
  /** Labels with values from the kernel or the user. `maxSeries` limits the combinations of these values. */
  open: readonly string[];
  maxSeries: number;
  /** The exported value is the recorded value divided by this number: 1e9 for nanoseconds exported as seconds. */
  divisor: number;
  /**
   * True if the records contain the times, or if the agent measured them. Such times are correct with any trace clock.
   */
  ownTime?: boolean | undefined;
  /** Classic upper bounds of a histogram in the exported unit, ascending, without +Inf. */
  bounds: readonly number[];
}

/** A consistent copy of one family. While `epoch` stays the same, each series keeps its index. */
export interface FamilySnapshot {
  spec: MetricSpec;
  epoch: number;
  seriesCount: number;
  labelsFrom: number;
  /** Flattened label values of series `labelsFrom` … `seriesCount - 1`. The reader already has the others. */
  labelValues: string[];
  /** One value per series, in recorded units; NaN means absent. Empty for histograms. */
  values: Float64Array;
  histogram?: HistogramSnapshot;
}

/**
 * Counts in fine buckets (see histogram-grid.ts), stored sparsely: block 0 contains only zeros. Fine bucket f of series
 * s is `blocks[directory[s * blocksPerSeries + (f >> 4)] * 16 + (f & 15)]`.
 */
export interface HistogramSnapshot {
  directory: Int32Array;
  blocks: Float64Array;
  /** Sum of the recorded values per series, in the recorded unit (usually ns). */
  sumsNs: Float64Array;
  /** Number of recorded values per series. */
  counts: Float64Array;
}

/**
 * A *part* is a store within a store (src/metrics/store.ts). Epochs of part N begin at N times this number, so that
 * readers can distinguish families of the same name in different parts.
 */
const EPOCHS_PER_PART = 2 ** 32;

/** First epoch of the families in part number `part`. */
export function firstEpoch(part: number): number {
  return part * EPOCHS_PER_PART;
}

/** Whether two snapshots with the same metric name are from the same family. */
export function isSameFamily(
  before: Pick<FamilySnapshot, 'epoch'>,
  after: Pick<FamilySnapshot, 'epoch'>,
): boolean {
  return Math.floor(before.epoch / EPOCHS_PER_PART) === Math.floor(after.epoch / EPOCHS_PER_PART);
}

/** The series that a reader already has, by metric name. */
export type KnownSeries = Record<string, { epoch: number; count: number }>;

/** All families of a store: its own in the order of declaration, then those of its parts. */
export interface MetricSnapshot {
  families: FamilySnapshot[];
}
