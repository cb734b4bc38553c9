/** Writes where the time went: `28.1 ms: 20.0 ms kworker/u8:12 ran, 3.7 ms block write vda, 4.4 ms not known`. */
import type { DraftAttributes } from './attributes.ts';
import type { Cause, SpanDraft } from './draft.ts';

/** Maximum number of causes in the sentence. */
const MOST_NAMED = 5;
/** The sentence does not name causes with a smaller share of the duration. */
const LEAST_SHARE = 0.01;
const LOSSY = '; incomplete, because events were lost';

/** Returns the causes of a span. If undefined, returns the causes of the child spans. */
export function causesOf(span: SpanDraft): readonly Cause[] {
  return span.causes ?? span.children.flatMap(causesOf);
}

export function summaryAttributes(
  durationNs: number,
  causes: readonly Cause[],
  isLossy = false,
): DraftAttributes {
  const explainedNs = causes.reduce((sum, { ns }) => sum + ns, 0);
  const ratio = durationNs === 0 ? 1 : Math.min(1, explainedNs / durationNs);
  return {
    'ftrace.explained_ratio': Math.round(ratio * 1e4) / 1e4,
    'ftrace.summary': sentence(durationNs, causes, explainedNs) + (isLossy ? LOSSY : ''),
  };
}

function sentence(durationNs: number, causes: readonly Cause[], explainedNs: number): string {
  const totals = new Map<string, number>();
  for (const { label, ns } of causes) totals.set(label, (totals.get(label) ?? 0) + ns);
  const named = [...totals]
    .filter(([, ns]) => ns >= durationNs * LEAST_SHARE)
    .sort(([, a], [, b]) => b - a)
    .slice(0, MOST_NAMED);
  const otherNs = explainedNs - named.reduce((sum, [, ns]) => sum + ns, 0);
  const rest: [string, number][] = [
    ['other', otherNs],
    ['not known', durationNs - explainedNs],
  ];
  const parts = [...named, ...rest.filter(([, ns]) => ns >= durationNs * LEAST_SHARE)];
  return `${timeText(durationNs)}: ${parts.map(([label, ns]) => `${timeText(ns)} ${label}`).join(', ')}`;
}

/** Formats a duration with one decimal, as in `28.1 ms`; seconds have two decimals. */
export function timeText(ns: number): string {
  if (ns >= 1e9) return `${(ns / 1e9).toFixed(2)} s`;
  return ns >= 1e6 ? `${(ns / 1e6).toFixed(1)} ms` : `${(ns / 1e3).toFixed(1)} µs`;
}
