/** Parses `key=value,key2=value2` of OTEL_* variables: W3C Baggage without properties. */

/** Throws an `Error` for an invalid text. The message contains no values, because values can be secrets. */
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
    throw new Error(`pair ${pair + 1} has an invalid percent-encoding: write "%25" for "%"`);
  }
}
