/**
 * Formats numbers for Prometheus. The label `le` identifies a series, so its format must be exactly Go's:
 * strconv.FormatFloat(x, 'g', -1, 64), with `.0` after whole numbers in OpenMetrics.
 */

/** Formats like Go: numbers below 1e-04 and from 1e+06 have an exponent of at least two digits. */
export function goFloat(x: number): string {
  if (!Number.isFinite(x)) return nonFinite(x);
  if (x === 0) return Object.is(x, -0) ? '-0' : '0';
  const [mantissa, exponent] = x.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(x);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** Formats as in OpenMetrics: `1.0`, `10.0`, `1e+06`, `+Inf`. */
export function openMetricsFloat(x: number): string {
  const text = goFloat(x);
  return Number.isFinite(x) && !/[.e]/.test(text) ? `${text}.0` : text;
}

/** Functions that format a value of `le`, by text format. */
export const FORMAT_BOUND = { text: goFloat, openmetrics: openMetricsFloat } as const;

/** Formats a sample's value. Unlike `le`, the value can have any decimal form, so we use the fastest: JavaScript's. */
export function sampleValue(x: number): string {
  return Number.isFinite(x) ? String(x) : nonFinite(x);
}

function nonFinite(x: number): string {
  if (Number.isNaN(x)) return 'NaN';
  return x > 0 ? '+Inf' : '-Inf';
}
