export type MetricKind = 'counter' | 'gauge' | 'histogram' | 'max_gauge';

/** A metric family, as data. The catalogue of names is in docs/metrics.md. */
export interface MetricSpec {
  /** Full Prometheus name, `_total` on counters, base unit in the name. */
  name: string;
  help: string;
  kind: MetricKind;
  /** Base unit as OpenMetrics writes it: `seconds`, `bytes`, `ratio`; '' for plain counts. */
  unit: string;
  /** Label names, in the order of the values passed to `slot()`. */
  labels: readonly string[];
  /** Labels whose values come from the kernel or the user. Limited to `maxSeries` distinct combinations. */
  open: readonly string[];
  maxSeries: number;
  /**
   * Recorded values are divided by this for exposition: 1e9 if recorded in nanoseconds and shown in seconds, otherwise 1.
   */
  divisor: number;
  /**
   * Its times are not differences of event stamps: records hold them, or the agent measured them. They are right in a
   * recording with any clock.
   */
  ownTime?: boolean | undefined;
  /** Classic upper bounds as shown (seconds, as a rule), ascending, without +Inf. Empty except for histograms. */
  bounds: readonly number[];
}

/**
 * A consistent copy of one family. Series keep their index within an `epoch`. `labelValues` starts with series
 * `labelsFrom`, so that a reader that keeps label values only receives new ones.
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
  /** Only for histograms. */
  histogram?: HistogramSnapshot;
}

/**
 * Counts of all series of a histogram family in fine buckets (see histogram-grid.ts), stored sparsely:
 * fine bucket f of series s is `blocks[directory[s * blocksPerSeries + (f >> 4)] * 16 + (f & 15)]`.
 * Directory entry 0 means a block of zeros.
 */
export interface HistogramSnapshot {
  directory: Int32Array;
  blocks: Float64Array;
  /** Sum of all recorded values per series, in recorded units: nanoseconds, as a rule. */
  sumsNs: Float64Array;
  /** Number of recorded values per series. */
  counts: Float64Array;
}

/** What a reader already has of each family, by metric name. */
export type KnownSeries = Record<string, { epoch: number; count: number }>;

/** Families in the order of the catalogue. */
export interface MetricSnapshot {
  families: FamilySnapshot[];
}
