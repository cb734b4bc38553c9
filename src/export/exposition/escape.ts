/** Escapes text for the exposition formats (text 0.0.4; OpenMetrics 1.0, "escaped-string"). */

export function escapeLabelValue(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** Escapes a HELP text. OpenMetrics also escapes quotes; the text format does not. */
export function escapeHelp(help: string, format: 'text' | 'openmetrics'): string {
  if (format === 'openmetrics') return escapeLabelValue(help);
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
