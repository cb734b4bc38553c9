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
  /** If the operation failed: the name of the errno (such as ENOENT), or its number if the errno has no name. */
  error?: string | undefined;
  children: readonly SpanDraft[];
  /** Causes that explain the span's duration. If undefined, the causes of the child spans are used. */
  causes?: readonly Cause[] | undefined;
  /** Pid of the task that the span shows, if this is not the trace's task. The span gets attributes of that task. */
  factsOf?: number | undefined;
}

/**
 * A part of a span's duration (`ns`), and what explains this part (`label`, such as `waited for CPU 1 behind
 * stress-ng`).
 */
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
  /** Causes that explain the duration of the operation, for the summary. If undefined, the trace gets no summary. */
  causes?: readonly Cause[] | undefined;
  /** True if events were lost during the operation. */
  isLossy?: boolean | undefined;
}

/**
 * Offers an operation that reached its kind's threshold. `weightNs` is the time that was compared with the threshold.
 * The budget calls `make` only if it keeps the operation for now. An operation with a larger weight can still replace
 * the kept operation in the same interval. `subject` is the task that performed the operation. The config can exclude
 * tasks.
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
