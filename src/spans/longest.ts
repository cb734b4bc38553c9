/** Bounds how many spans a trace shows on a level. */
import { countSpans, type SpanDraft } from './draft.ts';

/** The longest so many, in their order; `pruned`: spans left out, those below them included. */
export function longest(spans: readonly SpanDraft[], most: number): { spans: SpanDraft[]; pruned: number } {
  if (spans.length <= most) return { spans: [...spans], pruned: 0 };
  const sorted = [...spans].sort((a, b) => b.endNs - b.startNs - (a.endNs - a.startNs));
  const kept = new Set(sorted.slice(0, most));
  const left = sorted.slice(most);
  return {
    spans: spans.filter((span) => kept.has(span)),
    pruned: left.reduce((count, span) => count + countSpans(span), 0),
  };
}
