/**
 * A trace while it is put together: spans in stamps of the trace clock, as a tree. Kinds make it when an operation is
 * slow enough, from what lies in their rings at that moment; ids and wall clock come when it is known to be kept.
 */
import type { Attributes, SpanKind } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import type { RemoteParent, TaskFacts } from './deps.ts';

export interface SpanDraft {
  name: string;
  startNs: TimestampNs;
  endNs: TimestampNs;
  attributes: Attributes;
  /** Name of the errno. */
  error?: string;
  children: readonly SpanDraft[];
}

export interface ExemplarDraft {
  metric: string;
  labelValues: readonly string[];
  valueNs: number;
  span: SpanDraft;
}

export interface TraceDraft {
  root: SpanDraft;
  /** Task it is about; 0: none. */
  pid: number;
  /** What is known of the task, looked up when the trace was made: a moment later the task can be gone. */
  facts?: TaskFacts;
  /** Span of an application that it happened in. */
  parent?: RemoteParent | undefined;
  /** Spans that would belong to it and were not made. */
  pruned: number;
  exemplars: readonly ExemplarDraft[];
}

/**
 * Offers an operation that reached its kind's threshold; `weightNs` is what was compared with that. `make` is called
 * when there is a place for it; the place can be lost to one that weighs more until the interval ends.
 */
export type Offer = (kind: SpanKind, weightNs: number, make: () => TraceDraft) => void;

/** Spans of a tree. */
export function countSpans(span: SpanDraft): number {
  let count = 1;
  for (const child of span.children) count += countSpans(child);
  return count;
}
