/**
 * A trace while it is built: a tree of spans with times of the trace clock. A kind builds it when an operation is slow
 * enough, from what its rings hold at that moment. It gets ids and wall-clock times when the budget keeps it.
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
  /** Name of the error (`errno`). */
  error?: string | undefined;
  children: readonly SpanDraft[];
  /** What a span without children spent its time on; undefined or empty if that is not known. */
  causes?: readonly Cause[] | undefined;
  /** Task whose process the record names, beside that of the trace. */
  factsOf?: number | undefined;
}

/** A part of a time, and what explains it: `waited for CPU 1 behind stress-ng`. */
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
  /** Task that did the operation; 0 if none. */
  pid: number;
  /** Facts about the task, looked up when the trace was built: a moment later the task can be gone. */
  facts?: TaskFacts;
  /** Span of an application in which it happened. */
  parent?: RemoteParent | undefined;
  /** Number of spans that were left out. */
  pruned: number;
  exemplars: readonly ExemplarDraft[];
  /** What the whole operation was spent on, for its summary. */
  causes?: readonly Cause[] | undefined;
  /** Events were lost during the operation. */
  isLossy?: boolean | undefined;
}

/**
 * Offers an operation that reached its kind's threshold; `weightNs` is the time compared with it. Calls `make` if there
 * is a place. A heavier operation can take the place until the interval ends.
 */
export type Offer = (
  kind: SpanKind,
  weightNs: number,
  make: () => TraceDraft,
  subject?: Subject | undefined,
) => void;

/** Number of spans in a tree. */
export function countSpans(span: SpanDraft): number {
  let count = 1;
  for (const child of span.children) count += countSpans(child);
  return count;
}
