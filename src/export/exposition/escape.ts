/** Escapes of the exposition formats (text 0.0.4; OpenMetrics 1.0, "escaped-string"). */

/** A label value between quotes. */
export function escapeLabelValue(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** Help text: the text format leaves quotes alone, OpenMetrics escapes them. */
export function escapeHelp(help: string, format: 'text' | 'openmetrics'): string {
  if (format === 'openmetrics') return escapeLabelValue(help);
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
