/**
 * Lists of pairs as OTEL_* variables have them, `key=value,key2=value2`: W3C Baggage without its properties, so what is
 * not plain is written %XX (opentelemetry.io/docs/specs/otel/resource/sdk, protocol/exporter).
 */

/**
 * Text → pairs. Spaces around names and values do not count, nor does a comma too many; of a name that comes twice the
 * last counts. Throws an Error that tells what is wrong, but no value: it may be a secret.
 */
export function parseKeyValues(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.trim());
  const parsed = pairs.flatMap((pair, i): [string, string][] => {
    if (pair === '') return [];
    const equals = pair.indexOf('=');
    if (equals < 0) throw new Error(`pair ${i + 1} has no "="`);
    const name = decoded(pair.slice(0, equals).trim(), i);
    if (name === '') throw new Error(`pair ${i + 1} has no name`);
    return [[name, decoded(pair.slice(equals + 1).trim(), i)]];
  });
  return Object.fromEntries(parsed);
}

function decoded(text: string, pair: number): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`pair ${pair + 1} has a "%" that begins no %XX of UTF-8`);
  }
}
