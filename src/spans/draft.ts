/**
 * A trace under construction: a tree of spans with timestamps of the trace clock. The spans get ids and wall-clock
 * times only if the budget keeps the trace.
 */
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
  /** Name of the errno, such as ENOENT, if the operation failed. */
  error?: string | undefined;
  children: readonly SpanDraft[];
  /** What the time of the span was spent on. If undefined, the causes of the child spans are used. */
  causes?: readonly Cause[] | undefined;
  /** Pid of a task other than the trace's task. The span gets the attributes of this task's process. */
  factsOf?: number | undefined;
}

/** A part of the span's time and its explanation, such as `waited for CPU 1 behind stress-ng`. */
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
  /** Facts about the task. They are looked up when the trace is built, because the task can end soon after. */
  facts?: TaskFacts;
  /** Application span during which the operation happened. */
  parent?: RemoteParent | undefined;
  /** Number of spans that were left out. */
  pruned: number;
  exemplars: readonly ExemplarDraft[];
  /** What the whole operation spent its time on, for the summary. */
  causes?: readonly Cause[] | undefined;
  /** True if events were lost during the operation. */
  isLossy?: boolean | undefined;
}

/**
 * Offers an operation that reached its kind's threshold. `weightNs` is the time compared with the threshold. The budget
 * calls `make` only if it keeps the operation; an operation with a larger weight can still replace it in this interval.
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
