/** Merges config values: merges maps key by key, and replaces all other values. */

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Merges `over` into `under`. Returns `under` if `over` is undefined. */
export function overlay(under: unknown, over: unknown): unknown {
  if (over === undefined) return under;
  if (!isMap(under) || !isMap(over)) return over;
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) merged.set(key, overlay(merged.get(key), value));
  // fromEntries defines properties, so a key called __proto__ is an ordinary key.
  return Object.fromEntries(merged);
}

/** Removes keys without a value (`irq:`) from a map and from all maps in it. */
export function withoutNulls(value: unknown): unknown {
  if (!isMap(value)) return value ?? undefined;
  const entries = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutNulls(inner)]));
}
