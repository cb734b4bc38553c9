/** Renders snapshots as Prometheus text 0.0.4 or OpenMetrics 1.0 (prometheus.io/docs/specs/om). */
import type { FamilySnapshot, HistogramSnapshot, MetricSnapshot, MetricSpec } from '../../model/metric.ts';
import { classicCounts } from '../../model/snapshot-views.ts';
import { type BucketExemplars, type Exemplar, exemplarSeconds } from '../exemplars.ts';
import { byName, type FamilyPart, type RendererOptions, typeOf, unitOf, withoutTotal } from '../families.ts';
import { type HistogramShape, shapeOf } from '../histogram-shape.ts';
import type { SampleFamily } from '../sample-family.ts';
import { type BodyBuffer, createBodyBuffer } from './body-buffer.ts';
import { escapeHelp } from './escape.ts';
import { FORMAT_BOUND, sampleValue } from './numbers.ts';
import { createSeriesLines, labelText, linePrefix, sampleName, type TextFormat } from './series-lines.ts';

export type { TextFormat } from './series-lines.ts';

export interface Renderer {
  /**
   * Returns the body of a scrape in UTF-8. `snapshots` must contain all label values (see metrics/snapshot-reader.ts).
   * If families with the same name contain the same series, the first one wins.
   */
  render(
    snapshots: readonly MetricSnapshot[],
    format: TextFormat,
    foreign?: readonly SampleFamily[],
  ): Buffer<ArrayBuffer>;
}

/** Number of characters to collect before they are encoded together. */
const PIECE = 1 << 14;

export function createRenderer(options: RendererOptions = {}): Renderer {
  const constant = options.constantLabels ?? {};
  const { exemplars } = options;
  const lines = createSeriesLines(constant);
  const body = createBodyBuffer();

  const renderMerged = (parts: readonly FamilyPart[], format: TextFormat) => {
    const { spec } = parts[0].family;
    let head = header(spec.name, spec.help, spec.kind, spec.unit, format);
    for (const { family, repeated } of parts) {
      const { histogram } = family;
      if (histogram === undefined) {
        head = writeValues(body, head, family, lines.prefixes(family, format, undefined), repeated);
      } else {
        const shape = shapeOf(family.spec);
        const prefixes = lines.prefixes(family, format, shape);
        const marked = format === 'openmetrics' ? exemplars?.ofFamily(family) : undefined;
        head = writeHistograms(body, head, { family, histogram, shape, prefixes, marked }, repeated);
      }
    }
  };

  const renderForeign = (family: SampleFamily, format: TextFormat) => {
    let text = header(family.name, family.help, family.kind, '', format);
    for (const sample of family.samples) {
      const name = sample.suffix === '' ? sampleName(family.name, family.kind, format) : family.name;
      const labels = labelText(constant, Object.keys(sample.labels), Object.values(sample.labels));
      const le =
        sample.le === undefined ? '' : `${labels === '' ? '' : ','}le="${FORMAT_BOUND[format](sample.le)}"`;
      text += linePrefix(name + sample.suffix, labels + le) + sampleValue(sample.value);
    }
    if (family.samples.length > 0) body.write(text);
  };

  return {
    render: (snapshots, format, foreign = []) => {
      try {
        for (const parts of byName(snapshots)) renderMerged(parts, format);
        for (const family of foreign) renderForeign(family, format);
        body.write(format === 'openmetrics' ? '\n# EOF\n' : '\n');
      } catch (error) {
        body.take();
        throw error;
      }
      // Every line begins with a line feed. Drop the first line feed.
      return body.take().subarray(1);
    },
  };
}

function header(
  name: string,
  help: string,
  kind: MetricSpec['kind'],
  unit: string,
  format: TextFormat,
): string {
  const type = typeOf(kind);
  const text = escapeHelp(help, format);
  if (format === 'text') return `\n# HELP ${name} ${text}\n# TYPE ${name} ${type}`;
  const family = withoutTotal(name, kind);
  const unitLine = unitOf(name, kind, unit) === '' ? '' : `\n# UNIT ${family} ${unit}`;
  return `\n# TYPE ${family} ${type}${unitLine}\n# HELP ${family} ${text}`;
}

/** Writes `head` and the samples of a family, and returns ''. Without samples, only returns `head`. */
function writeValues(
  body: BodyBuffer,
  head: string,
  family: FamilySnapshot,
  prefixes: readonly string[],
  repeated: FamilyPart['repeated'],
): string {
  const { values, seriesCount } = family;
  const { divisor } = family.spec;
  let out = '';
  for (let s = 0; s < seriesCount; s++) {
    const value = values[s] / divisor;
    if (Number.isNaN(value) || repeated?.has(s)) continue;
    out += prefixes[s] + (value - value === 0 ? value : sampleValue(value));
    if (out.length < PIECE) continue;
    body.write(head + out);
    head = '';
    out = '';
  }
  if (out === '') return head;
  body.write(head + out);
  return '';
}

interface Histograms {
  family: FamilySnapshot;
  histogram: HistogramSnapshot;
  shape: HistogramShape;
  prefixes: readonly string[];
  /** Exemplars by index of the series. */
  marked: ReadonlyMap<number, BucketExemplars> | undefined;
}

/** Like `writeValues`, but for a family of histograms. Skips absent series, whose count is NaN. */
function writeHistograms(
  body: BodyBuffer,
  head: string,
  { family, histogram: data, shape, prefixes, marked }: Histograms,
  repeated: FamilyPart['repeated'],
): string {
  const { grid, counts } = shape;
  let out = '';
  let line = 0;
  for (let s = 0; s < family.seriesCount; s++) {
    const count = data.counts[s];
    if (Number.isNaN(count) || repeated?.has(s)) {
      line += counts.length + 3;
      continue;
    }
    classicCounts(grid, data, s, counts);
    const pointed = marked?.get(s);
    if (pointed === undefined) {
      for (let b = 0; b < counts.length; b++) out += prefixes[line++] + counts[b];
      out += prefixes[line++] + count;
    } else {
      for (let b = 0; b < counts.length; b++) out += prefixes[line++] + counts[b] + exemplarText(pointed[b]);
      out += prefixes[line++] + count + exemplarText(pointed[counts.length]);
    }
    out += prefixes[line++] + data.sumsNs[s] / grid.divisor;
    out += prefixes[line++] + count;
    if (out.length < PIECE) continue;
    body.write(head + out);
    head = '';
    out = '';
  }
  if (out === '') return head;
  body.write(head + out);
  return '';
}

/** Returns the text of an exemplar, which follows a bucket's count; '' if the bucket has no exemplar. */
function exemplarText(exemplar: Exemplar | undefined): string {
  if (exemplar === undefined) return '';
  const { traceId, spanId, valueNs, at } = exemplar;
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${valueNs / 1e9} ${exemplarSeconds(at)}`;
}
