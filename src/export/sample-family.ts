/** A metric family of another library, as data: few series, rendered anew at each scrape. */
export interface SampleFamily {
  /** As the text format writes it, `_total` on counters. */
  name: string;
  help: string;
  kind: 'counter' | 'gauge' | 'histogram';
  samples: readonly ForeignSample[];
}

export interface ForeignSample {
  /** `_bucket`, `_sum` or `_count` of a histogram, else ''. */
  suffix: '' | '_bucket' | '_sum' | '_count';
  labels: Readonly<Record<string, string>>;
  /** Of a bucket: its upper bound. */
  le?: number;
  value: number;
}
