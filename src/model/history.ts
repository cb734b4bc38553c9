/** Response types of `/api/v1/history` and `/api/v1/live`: see docs/http-api.md. The page and `top` read them. */

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
  /** Period with columns, in milliseconds like all times here. Null if there are no columns yet. */
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
  /** Seconds for which each column has data; 0 for a gap. */
  seconds: number[];
  /** Indexes of the columns during which some of the requested events were not available. */
  not_ready: number[];
  /** Largest first: counters by value, histograms by sum. */
  series: HistorySeries[];
  /** Sum of all series beyond the limit. */
  rest?: Omit<HistorySeries, 'labels'> & { groups: number };
}

/** One value per column; null for a gap. */
export interface HistorySeries {
  labels: Record<string, string>;
  /** Counters: the increase, in the metric's unit. */
  value?: (number | null)[];
  /** Histograms: number of durations. */
  count?: (number | null)[];
  /** Histograms: sum of the durations in seconds. */
  sum?: (number | null)[];
  /** Histograms: index, count, index, count, … of exponential buckets (scale 3). -32768 is the bucket of zeros. */
  buckets?: (number[] | null)[];
}

export interface LiveColumn {
  time: number;
  seconds: number;
  gap: boolean;
  /** Whether all requested events were available. */
  ready: boolean;
  /** Metrics that changed. Each value is the sum over the metric's series. */
  metrics: Record<string, LiveMetric>;
}

export type LiveMetric = { value: number } | { count: number; sum: number; buckets: number[] };
