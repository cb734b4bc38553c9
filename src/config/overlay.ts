/** Values as YAML gives them, laid over each other: maps are merged, everything else is replaced. */

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `over` on top of `under`; what is undefined says nothing. */
export function overlay(under: unknown, over: unknown): unknown {
  if (over === undefined) return under;
  if (!isMap(under) || !isMap(over)) return over;
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) merged.set(key, overlay(merged.get(key), value));
  // fromEntries defines keys: one that is called __proto__ stays a key.
  return Object.fromEntries(merged);
}

/** Drops keys without a value (`irq:`), at any depth: they mean the default. */
export function withoutNulls(value: unknown): unknown {
  if (!isMap(value)) return value ?? undefined;
  const said = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(said.map(([key, inner]) => [key, withoutNulls(inner)]));
}
