/**
 * Our metric names → names and units of OpenTelemetry that Prometheus translates back to the same names, whichever of
 * its strategies that add suffixes is set (github.com/prometheus/otlptranslator, metric_namer.go): it appends the unit
 * where the name has it not among its words, `_ratio` to gauges of unit 1 and `_total` to monotonic sums. So names keep
 * their unit, and lose `_total` alone.
 */
import { withoutTotal } from '../families.ts';

export interface OtlpName {
  name: string;
  /** As UCUM has it; '' for plain counts and facts. */
  unit: string;
}

/** By the last word of a name. */
const UNITS: Readonly<Record<string, string>> = { seconds: 's', bytes: 'By' };

export function otlpName(name: string, kind: 'counter' | 'gauge' | 'histogram'): OtlpName {
  const shown = withoutTotal(name, kind);
  const word = shown.slice(shown.lastIndexOf('_') + 1);
  // Sums and histograms of ratios there are none, and a ratio in words would be appended to them.
  const unit = word === 'ratio' && kind === 'gauge' ? '1' : (UNITS[word] ?? '');
  return { name: shown, unit };
}
