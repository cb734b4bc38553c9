/** Limits the number of spans on one level of a trace. */
import { countSpans, type SpanDraft } from './draft.ts';

/** Returns the `most` longest items in their original order (`shown`), and all other items (`rest`). */
export function longestOf<T>(
  items: readonly T[],
  most: number,
  durationOf: (item: T) => number,
): { shown: T[]; rest: T[] } {
  if (items.length <= most) return { shown: [...items], rest: [] };
  const sorted = [...items].sort((a, b) => durationOf(b) - durationOf(a));
  const longest = new Set(sorted.slice(0, most));
  return { shown: items.filter((item) => longest.has(item)), rest: sorted.slice(most) };
}

/** Like `longestOf`, for spans. `pruned` counts the spans that were left out and all spans below them. */
export function longest(spans: readonly SpanDraft[], most: number): { spans: SpanDraft[]; pruned: number } {
  const { shown, rest } = longestOf(spans, most, lengthOf);
  return { spans: shown, pruned: rest.reduce((count, span) => count + countSpans(span), 0) };
}

export function lengthOf({ startNs, endNs }: Pick<SpanDraft, 'startNs' | 'endNs'>): number {
  return endNs - startNs;
}
