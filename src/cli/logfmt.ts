/** Writes log entries as logfmt. Escapes control characters, because any user can choose names of processes. */

/** Converts a JSON line from pino to a line of logfmt. */
export function logfmtLine(json: string): string {
  const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const pairs = Object.entries({ ts: time, level, msg, ...fields });
  return `${pairs.map(([key, value]) => `${logfmtKey(key)}=${logfmtValue(value)}`).join(' ')}\n`;
}

function logfmtKey(key: string): string {
  return key.replace(/[^\w.-]/g, '_') || '_';
}

export function logfmtValue(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  if (/^[\w.,:;/@%+*()[\]{}<>#!?&|~^$-]+$/.test(text)) return text;
  return JSON.stringify(text.toWellFormed()).replace(
    /[\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
