/** Caches the start of each line, `name{labels} `. `labelValues` arrays only grow (see metrics/snapshot-reader.ts). */
import type { FamilySnapshot } from '../../model/metric.ts';
import { labelPairs } from '../families.ts';
import type { HistogramShape } from '../histogram-shape.ts';
import { escapeLabelValue } from './escape.ts';
import { FORMAT_BOUND } from './numbers.ts';

export type TextFormat = 'text' | 'openmetrics';

export interface SeriesLines {
  /** Returns the line prefixes of all series. A histogram has one prefix per bucket, then `_sum` and `_count`. */
  prefixes(family: FamilySnapshot, format: TextFormat, shape: HistogramShape | undefined): readonly string[];
}

interface Cached {
  shape: HistogramShape | undefined;
  lines: string[];
}

export function createSeriesLines(constantLabels: Readonly<Record<string, string>>): SeriesLines {
  const cache: Record<TextFormat, WeakMap<readonly string[], Cached>> = {
    text: new WeakMap(),
    openmetrics: new WeakMap(),
  };

  return {
    prefixes: (family, format, shape) => {
      const { spec, labelValues, seriesCount } = family;
      if (family.labelsFrom !== 0) throw new Error(`${spec.name}: an incremental snapshot was not expanded`);
      let cached = cache[format].get(labelValues);
      if (cached === undefined || cached.shape !== shape) {
        cached = { shape, lines: [] };
        cache[format].set(labelValues, cached);
      }
      const { lines } = cached;
      const perSeries = shape === undefined ? 1 : shape.bounds.length + 3;
      const width = spec.labels.length;
      for (let s = lines.length / perSeries; s < seriesCount; s++) {
        const labels = labelText(constantLabels, spec.labels, labelValues.slice(s * width, (s + 1) * width));
        if (shape === undefined) lines.push(linePrefix(sampleName(spec.name, spec.kind, format), labels));
        else pushHistogram(lines, spec.name, labels, shape.bounds, FORMAT_BOUND[format]);
      }
      return lines;
    },
  };
}

/** Returns the name of a counter's or gauge's sample. OpenMetrics requires `_total` for counters. */
export function sampleName(name: string, kind: string, format: TextFormat): string {
  return format === 'openmetrics' && kind === 'counter' && !name.endsWith('_total') ? `${name}_total` : name;
}

/** Begins with the line feed of the previous line, because joining two strings per line is faster than three. */
export function linePrefix(name: string, labels: string): string {
  return labels === '' ? `\n${name} ` : `\n${name}{${labels}} `;
}

function pushHistogram(
  lines: string[],
  name: string,
  labels: string,
  bounds: readonly number[],
  le: (bound: number) => string,
): void {
  const start = labels === '' ? '' : `${labels},`;
  for (const bound of [...bounds, Number.POSITIVE_INFINITY])
    lines.push(linePrefix(`${name}_bucket`, `${start}le="${le(bound)}"`));
  lines.push(linePrefix(`${name}_sum`, labels), linePrefix(`${name}_count`, labels));
}

/** Returns the label text of a series: `a="b",c="d"`. */
export function labelText(
  constant: Readonly<Record<string, string>>,
  names: readonly string[],
  values: readonly string[],
): string {
  const pairs = labelPairs(constant, names, values);
  return pairs.map(([name, value]) => `${name}="${escapeLabelValue(value)}"`).join(',');
}
