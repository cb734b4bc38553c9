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
  /** Name of the errno, such as ENOENT, if the operation failed; its number if it has no name. */
  error?: string | undefined;
  children: readonly SpanDraft[];
  /** Reasons for the time of the span. If undefined, the causes of the child spans are used. */
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
  /** Facts about the task, looked up when the draft is made, because the task can exit soon after. */
  facts?: TaskFacts;
  /** Application span during which the operation happened. */
  parent?: RemoteParent | undefined;
  /** Number of spans that were left out. */
  pruned: number;
  exemplars: readonly ExemplarDraft[];
  /**
   * Reasons for the time of the whole operation, for the summary. If undefined, the trace gets no summary.
   */
  causes?: readonly Cause[] | undefined;
  /** True if events were lost during the operation. */
  isLossy?: boolean | undefined;
}

/**
 * Offers an operation that reached its kind's threshold. `weightNs` is the time that was compared with the
 * threshold. The budget calls `make` only if it keeps the operation for now. In the same interval, an
 * operation with a larger weight can still replace the kept one. `subject` is the task, which the config can
 * exclude.
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
