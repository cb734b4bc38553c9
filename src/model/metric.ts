export type MetricKind = 'counter' | 'gauge' | 'histogram' | 'max_gauge';

/** A metric family, as data. docs/metrics.md lists all names. */
export interface MetricSpec {
  /** Full Prometheus name: contains the base unit, and `_total` for counters. */
  name: string;
  help: string;
  kind: MetricKind;
  /** Base unit as OpenMetrics writes it: `seconds`, `bytes`, `ratio`; '' for plain counts. */
  unit: string;
  /** Label names, in the order of the values passed to `slot()`. */
  labels: readonly string[];
  /** Labels whose values come from the kernel or the user. `maxSeries` limits the combinations of their values. */
  open: readonly string[];
  maxSeries: number;
  /** The exported value is the recorded value divided by this number: 1e9 for nanoseconds exported as seconds. */
  divisor: number;
  /**
   * True if the metric's times are not differences of event timestamps: either the records contain the times, or the
   * agent measured them. Such times are correct whatever the trace clock of a recording is.
   */
  ownTime?: boolean | undefined;
  /** Classic upper bounds in the exported unit (usually seconds), ascending, without +Inf. Only for histograms. */
  bounds: readonly number[];
}

/**
 * A consistent copy of one family. While `epoch` stays the same, each series keeps its index. `labelValues` begins with
 * series `labelsFrom`, because the reader already has the label values of earlier series.
 */
export interface FamilySnapshot {
  spec: MetricSpec;
  epoch: number;
  seriesCount: number;
  labelsFrom: number;
  /** `spec.labels.length` values per series, flattened, for series `labelsFrom` … `seriesCount - 1`. */
  labelValues: string[];
  /** Counters, gauges and max gauges: one value per series, in recorded units. NaN means absent. */
  values: Float64Array;
  histogram?: HistogramSnapshot;
}

/**
 * Counts of all series of a histogram family in fine buckets (see histogram-grid.ts), stored sparsely: fine bucket f of
 * series s is `blocks[directory[s * blocksPerSeries + (f >> 4)] * 16 + (f & 15)]`. Directory entry 0 means a block of
 * zeros.
 */
export interface HistogramSnapshot {
  directory: Int32Array;
  blocks: Float64Array;
  /** Sum of all recorded values per series, in the recorded unit: usually nanoseconds. */
  sumsNs: Float64Array;
  /** Number of recorded values per series. */
  counts: Float64Array;
}

/**
 * A store (src/metrics/store.ts) can create *parts*: further stores with their own families. Epochs of part N begin at
 * N times this number, so an epoch identifies the part. If a later part declares a metric with the same name, readers
 * can see that the family is a new one.
 */
const EPOCHS_PER_PART = 2 ** 32;

/** Returns the epoch with which each family in part number `part` of a store begins. */
export function firstEpoch(part: number): number {
  return part * EPOCHS_PER_PART;
}

/** Whether two snapshots of the same metric name are from the same family, so that their values can be compared. */
export function isSameFamily(
  before: Pick<FamilySnapshot, 'epoch'>,
  after: Pick<FamilySnapshot, 'epoch'>,
): boolean {
  return Math.floor(before.epoch / EPOCHS_PER_PART) === Math.floor(after.epoch / EPOCHS_PER_PART);
}

/** The series that a reader already has, by metric name. */
export type KnownSeries = Record<string, { epoch: number; count: number }>;

/**
 * Snapshots of all families of a store: the store's own families in the order of declaration, then those of its parts.
 */
export interface MetricSnapshot {
  families: FamilySnapshot[];
}
