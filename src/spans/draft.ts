/** A trace under construction. Its spans have times of the trace clock, and no ids yet. */
import type { SpanKind } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import type { DraftAttributes } from './attributes.ts';
import type { RemoteParent, TaskFacts } from './deps.ts';
import type { Subject } from './task-filter.ts';

export interface SpanDraft {
  name: string;
  startNs: TimestampNs;
  endNs: TimestampNs;
  attributes: DraftAttributes;
  /** If the operation failed: the name of the errno (such as ENOENT), or its number if the errno has no name. */
  error?: string | undefined;
  children: readonly SpanDraft[];
  /** If undefined, the causes of the child spans are used. */
  causes?: readonly Cause[] | undefined;
  /** Pid of the task that the span shows, if this is not the trace's task. The span gets attributes of that task. */
  factsOf?: number | undefined;
}

/** A part of a span's duration, and what explains it, such as `waited for CPU 1 behind stress-ng`. */
export interface Cause {
  label: string;
  ns: number;
}

export interface ExemplarDraft {
  metric: string;
  labelValues: readonly string[];
  valueNs: number;
  span: SpanDraft;
}

export interface TraceDraft {
  root: SpanDraft;
  /** Task that performed the operation; 0 if there is none. */
  pid: number;
  /** Facts about the task, looked up when the draft is made, because the task can exit soon after. */
  facts?: TaskFacts;
  /** Application span during which the operation happened. */
  parent?: RemoteParent | undefined;
  /** Number of spans that were left out of the trace. */
  pruned: number;
  exemplars: readonly ExemplarDraft[];
  /** Causes of the operation's duration, for the summary. If undefined, the trace gets no summary. */
  causes?: readonly Cause[] | undefined;
  /** True if events were lost during the operation. */
  isLossy?: boolean | undefined;
}

/**
 * Offers an operation to the budget. `weightNs` is the time that reached the threshold. The budget calls `make` only if
 * the operation is among the slowest of the interval so far.
 */
export type Offer = (
  kind: SpanKind,
  weightNs: number,
  make: () => TraceDraft,
  subject?: Subject | undefined,
) => void;

export function countSpans(span: SpanDraft): number {
  let count = 1;
  for (const child of span.children) count += countSpans(child);
  return count;
}
