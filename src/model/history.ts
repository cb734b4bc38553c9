/** Response types of `/api/v1/history` and `/api/v1/live` (docs/http-api.md). A *column* covers one time step. */

export interface HistoryIndex {
  /** `time`: Unix times. `recording`: times from the first event of a recording. */
  axis: 'time' | 'recording';
  resolutions: HistoryResolution[];
  metrics: HistoryMetric[];
}

export interface HistoryResolution {
  name: string;
  step_seconds: number;
  keep_seconds: number;
  columns: number;
  /** `from`: start of the first column. `to`: end of the last column. In milliseconds; null without columns. */
  from: number | null;
  to: number | null;
}

export interface HistoryMetric {
  name: string;
  help: string;
  kind: 'counter' | 'histogram';
  unit: string;
  labels: string[];
  series: number;
}

export interface HistoryAnswer {
  metric: string;
  kind: 'counter' | 'histogram';
  unit: string;
  by: string[];
  resolution: string;
  step_seconds: number;
  /** End of each column, in milliseconds. */
  times: number[];
  /** Seconds of data in each column; 0 for a gap. */
  seconds: number[];
  /** Indexes of incomplete columns: some events that the agent requested were not available. */
  not_ready: number[];
  /** In descending order: counters by value, histograms by sum. */
  series: HistorySeries[];
  /** Sum of the series that `series` leaves out because of the request's limit. `groups`: number of these series. */
  rest?: Omit<HistorySeries, 'labels'> & { groups: number };
}

/** One series. Each array has one element per column; null for a gap. */
export interface HistorySeries {
  labels: Record<string, string>;
  /** Counters: the increase, in the metric's unit. */
  value?: (number | null)[];
  /** Histograms: number of durations. */
  count?: (number | null)[];
  /** Histograms: sum of the durations in seconds. */
  sum?: (number | null)[];
  /** Histograms: exponential buckets (scale 3) as index, count, index, count, …; index -32768 for zeros. */
  buckets?: (number[] | null)[];
}

export interface LiveColumn {
  time: number;
  seconds: number;
  gap: boolean;
  /** Whether all events that the agent requested were available. */
  ready: boolean;
  /** Metrics that changed, summed over their series. */
  metrics: Record<string, LiveMetric>;
}

export type LiveMetric = { value: number } | { count: number; sum: number; buckets: number[] };
