/**
 * Response types of `/api/v1/history` and `/api/v1/live`: see docs/http-api.md. The web page and the command `top` read
 * these responses. A *column* contains the data of one time step.
 */

export interface HistoryIndex {
  /** `time`: times are Unix times. `recording`: times are relative to the first event of a recording. */
  axis: 'time' | 'recording';
  resolutions: HistoryResolution[];
  metrics: HistoryMetric[];
}

export interface HistoryResolution {
  name: string;
  step_seconds: number;
  keep_seconds: number;
  columns: number;
  /**
   * `from`: start of the first column; `to`: end of the last column. In milliseconds. Null if there are no columns yet.
   */
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
  /** Number of seconds of data in each column; 0 if the column is a gap. */
  seconds: number[];
  /** Indexes of columns with incomplete data: in their time steps, some requested events were not available. */
  not_ready: number[];
  /** Sorted in descending order: counters by value, histograms by sum. */
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
  /**
   * Histograms: exponential buckets (scale 3) as a flat list: index, count, index, count, … Index -32768 is the bucket
   * of zeros.
   */
  buckets?: (number[] | null)[];
}

export interface LiveColumn {
  time: number;
  seconds: number;
  gap: boolean;
  /** Whether all events that the agent requested were available. */
  ready: boolean;
  /** Metrics that changed. Each value is the sum over the metric's series. */
  metrics: Record<string, LiveMetric>;
}

export type LiveMetric = { value: number } | { count: number; sum: number; buckets: number[] };
