/** A metric family of another library. Renderers do not cache it, because it has few series. */
export interface SampleFamily {
  /** The name in the text format, which ends in `_total` for counters. */
  name: string;
  help: string;
  kind: 'counter' | 'gauge' | 'histogram';
  samples: readonly ForeignSample[];
}

export interface ForeignSample {
  /** `_bucket`, `_sum` or `_count` for a sample of a histogram, otherwise ''. */
  suffix: '' | '_bucket' | '_sum' | '_count';
  labels: Readonly<Record<string, string>>;
  /** Upper bound of a bucket; undefined for other samples. */
  le?: number | undefined;
  value: number;
}
