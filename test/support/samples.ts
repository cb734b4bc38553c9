/** Finds samples by name and labels in the text of an exposition. */
import { type ParsedSample, parseExposition } from './exposition.ts';

/** One scrape; `sum` adds the samples of a name that have these labels. */
export interface Samples {
  sum(name: string, labels?: Readonly<Record<string, string | RegExp>>): number;
  /** All values that a label has among the samples of a name. */
  values(name: string, label: string): string[];
}

export function samplesOf(body: string): Samples {
  const all = parseExposition(body);
  const has = (sample: ParsedSample, label: string, wanted: string | RegExp) =>
    typeof wanted === 'string' ? sample.labels[label] === wanted : wanted.test(sample.labels[label] ?? '');
  return {
    sum: (name, labels = {}) =>
      all
        .filter((sample) => sample.name === name)
        .filter((sample) => Object.entries(labels).every(([label, wanted]) => has(sample, label, wanted)))
        .reduce((sum, { value }) => sum + Number(value), 0),
    values: (name, label) => [
      ...new Set(all.filter((sample) => sample.name === name).map(({ labels }) => labels[label] ?? '')),
    ],
  };
}
