/** Bounds how many spans a trace shows on a level. */
import { countSpans, type SpanDraft } from './draft.ts';

/** The longest so many, in their order, and those left out. */
export function longestOf<T>(
  items: readonly T[],
  most: number,
  durationOf: (item: T) => number,
): { kept: T[]; left: T[] } {
  if (items.length <= most) return { kept: [...items], left: [] };
  const sorted = [...items].sort((a, b) => durationOf(b) - durationOf(a));
  const longest = new Set(sorted.slice(0, most));
  return { kept: items.filter((item) => longest.has(item)), left: sorted.slice(most) };
}

/** Of spans; `pruned`: those left out, those below them included. */
export function longest(spans: readonly SpanDraft[], most: number): { spans: SpanDraft[]; pruned: number } {
  const { kept, left } = longestOf(spans, most, lengthOf);
  return { spans: kept, pruned: left.reduce((count, span) => count + countSpans(span), 0) };
}

export function lengthOf({ startNs, endNs }: SpanDraft): number {
  return endNs - startNs;
}
