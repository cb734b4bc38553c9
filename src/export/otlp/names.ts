/**
 * Translates our metric names to OpenTelemetry names and units that Prometheus translates back to the same names, with
 * any of its strategies that add suffixes (github.com/prometheus/otlptranslator, metric_namer.go). Prometheus appends the
 * unit if the name does not contain it, `_ratio` to gauges with unit 1, and `_total` to monotonic sums. So names keep
 * their unit and only lose `_total`.
 */
import { withoutTotal } from '../families.ts';

export interface OtlpName {
  name: string;
  /** In UCUM; '' for plain counts and facts. */
  unit: string;
}

/** UCUM units by the last word of a metric's name. */
const UNITS: Readonly<Record<string, string>> = { seconds: 's', bytes: 'By' };

export function otlpName(name: string, kind: 'counter' | 'gauge' | 'histogram'): OtlpName {
  const shown = withoutTotal(name, kind);
  const word = shown.slice(shown.lastIndexOf('_') + 1);
  // Only gauges can be ratios. The unit is `1`, because Prometheus appends a unit in words to the name.
  const unit = word === 'ratio' && kind === 'gauge' ? '1' : (UNITS[word] ?? '');
  return { name: shown, unit };
}
