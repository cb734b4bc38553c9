/** A metric family of another library, as data. It has few series and is rendered from scratch at each scrape. */
export interface SampleFamily {
  /** Name as in the text format, with `_total` for counters. */
  name: string;
  help: string;
  kind: 'counter' | 'gauge' | 'histogram';
  samples: readonly ForeignSample[];
}

export interface ForeignSample {
  /** `_bucket`, `_sum` or `_count` of a histogram, otherwise ''. */
  suffix: '' | '_bucket' | '_sum' | '_count';
  labels: Readonly<Record<string, string>>;
  /** Upper bound of a bucket. */
  le?: number | undefined;
  value: number;
}
