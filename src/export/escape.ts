/** Escapes of the exposition formats (text 0.0.4; OpenMetrics 1.0, "escaped-string"). */

/** A label value between quotes. Unpaired surrogates, which UTF-8 cannot hold, become U+FFFD. */
export function escapeLabelValue(value: string): string {
  const text = value.toWellFormed();
  if (!/[\\"\n]/.test(text)) return text;
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** Help text: the text format leaves quotes alone, OpenMetrics escapes them. */
export function escapeHelp(help: string, format: 'text' | 'openmetrics'): string {
  if (format === 'openmetrics') return escapeLabelValue(help);
  return help.toWellFormed().replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
