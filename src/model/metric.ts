export type MetricKind = 'counter' | 'gauge' | 'histogram' | 'max_gauge';

/** A metric family, as data. The catalogue of names is in docs/metrics.md. */
export interface MetricSpec {
  /** Full Prometheus name, `_total` on counters, base unit in the name. */
  name: string;
  help: string;
  kind: MetricKind;
  /** Base unit as OpenMetrics writes it: `seconds`, `bytes`, `ratio`; '' for plain counts. */
  unit: string;
  /** Label names, in the order of the values given to `slot()`. */
  labels: readonly string[];
  /** Labels whose values the kernel or the user invents. Limited to `maxSeries` distinct combinations. */
  open: readonly string[];
  maxSeries: number;
  /**
   * What recorded values are divided by on exposition: 1e9 for what is recorded in nanoseconds and shown in
   * seconds, else 1. Histograms are always recorded in nanoseconds and shown in seconds.
   */
  divisor: number;
  /** Classic upper bounds in seconds, ascending, without +Inf. Histograms only, else empty. */
  bounds: readonly number[];
}

/**
 * A consistent copy of one family. Series keep their index within an `epoch`; label values are sent only for
 * series from `labelsFrom` on, so that a reader that keeps them is sent the new ones alone.
 */
export interface FamilySnapshot {
  spec: MetricSpec;
  epoch: number;
  seriesCount: number;
  labelsFrom: number;
  /** `spec.labels.length` values a series, flattened, for series `labelsFrom` … `seriesCount - 1`. */
  labelValues: string[];
  /** Counters, gauges and max gauges: one value a series, in recorded units. NaN means absent. */
  values: Float64Array;
  /** Histograms only. */
  histogram?: HistogramSnapshot;
}

/**
 * Counts of all series of a histogram family in fine buckets (see histogram-grid.ts), stored sparsely:
 * fine bucket f of series s is `blocks[directory[s * blocksPerSeries + (f >> 4)] * 16 + (f & 15)]`,
 * where directory entry 0 stands for a block of zeroes.
 */
export interface HistogramSnapshot {
  directory: Int32Array;
  blocks: Float64Array;
  /** Sum of all recorded values a series, in nanoseconds. */
  sumsNs: Float64Array;
  /** Number of recorded values a series. */
  counts: Float64Array;
}

/** What a reader has of a family already, by metric name. */
export type KnownSeries = Record<string, { epoch: number; count: number }>;

/** Families in the order of the catalogue. */
export interface MetricSnapshot {
  families: FamilySnapshot[];
}
