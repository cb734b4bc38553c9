/**
 * Writes numbers for Prometheus' formats. `le` must look exactly like Go's output, because it is part of a series'
 * identity: strconv.FormatFloat(x, 'g', -1, 64) in the text format; OpenMetrics adds `.0` to whole numbers
 * (github.com/prometheus/common/expfmt: text_create.go, openmetrics_create.go).
 */

/** Go's shortest form. Below 1e-04 and for 1e+06 or more, it has an exponent of at least two digits. */
export function goFloat(x: number): string {
  if (!Number.isFinite(x)) return nonFinite(x);
  if (x === 0) return Object.is(x, -0) ? '-0' : '0';
  const [mantissa, exponent] = x.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(x);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** The OpenMetrics form: `1.0`, `10.0`, `1e+06`, `+Inf`. */
export function openMetricsFloat(x: number): string {
  const text = goFloat(x);
  return Number.isFinite(x) && !/[.e]/.test(text) ? `${text}.0` : text;
}

/** Writes a bound in each text format. */
export const FORMAT_BOUND = { text: goFloat, openmetrics: openMetricsFloat } as const;

/** Writes a sample's value. Any decimal form is valid; JavaScript's form is the fastest. */
export function sampleValue(x: number): string {
  return Number.isFinite(x) ? String(x) : nonFinite(x);
}

function nonFinite(x: number): string {
  if (Number.isNaN(x)) return 'NaN';
  return x > 0 ? '+Inf' : '-Inf';
}
