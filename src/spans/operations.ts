/**
 * Operations of tasks that declared metrics measure (direct reclaim, waits for locks, …), for calls during which they
 * happened. Spans of a call that lie within an operation become its children.
 */
import type { MeasuredMetric, Operation } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';
import type { DraftAttributes } from './attributes.ts';
import type { Cause, SpanDraft } from './draft.ts';
import { lengthOf, longestOf } from './longest.ts';
import { causesOf } from './summary.ts';

/** Shorter ones do not explain a slow call. */
export const LONG_OPERATION_NS = 50_000;
const DEPTH = 4096;
/** Most operations that a call shows. */
const MOST_SHOWN = 32;

export class OperationJournal {
  readonly #ring: Operation[] = [];
  #next = 0;

  add(operation: Operation): void {
    this.#ring[this.#next] = operation;
    this.#next = (this.#next + 1) % DEPTH;
  }

  /** Operations of a task within a time, except this one. */
  within(pid: number, fromNs: TimestampNs, toNs: TimestampNs, except?: Operation): Operation[] {
    return this.#ring.filter(
      (one) => one.pid === pid && one.startNs >= fromNs && one.startNs < toNs && one !== except,
    );
  }
}

/** `memory_reclaim` for ftrace_memory_reclaim_seconds. */
export function operationName({ name }: MeasuredMetric): string {
  return name.replace(/^ftrace_/, '').replace(/_seconds(_total)?$/, '');
}

export function operationAttributes({ metric, values }: Operation): DraftAttributes {
  const labels = metric.labels.map((label, i) => [`ftrace.label.${label}`, values[i]]);
  return { 'ftrace.metric': metric.name, ...Object.fromEntries(labels) };
}

export function operationLabel({ metric, values }: Operation): string {
  return [operationName(metric), ...values].join(' ');
}

export interface Nested {
  spans: SpanDraft[];
  /** Time within operations, without the spans in them. */
  ownNs: number;
  /** Number of operations that are left out. */
  pruned: number;
}

interface Node extends SpanDraft {
  children: SpanDraft[];
}

/**
 * Puts operations around the spans of a call, which are in order and do not overlap. Leaves out an operation that overlaps
 * another one or a span in part.
 */
export function nested(flat: readonly SpanDraft[], operations: readonly Operation[], endNs: number): Nested {
  const spans: SpanDraft[] = [];
  const open: Node[] = [];
  const nodes = new Map<SpanDraft, string>();
  let ownNs = 0;
  const { shown, rest } = longestOf(operations, MOST_SHOWN, lengthOf);
  const whole = shown.map((operation) => nodeOf(operation, flat));
  const all = [...whole, ...flat].sort((a, b) => a.startNs - b.startNs || b.endNs - a.endNs);
  let pruned = rest.length;
  for (const span of all) {
    while (open.length > 0 && (open.at(-1)?.endNs ?? 0) <= span.startNs) open.pop();
    const around = open.at(-1);
    const at = whole.indexOf(span as Node);
    if (at >= 0 && (span.endNs > (around?.endNs ?? endNs) || cutsOne(span, flat))) {
      pruned++;
      continue;
    }
    (around?.children ?? spans).push(span);
    if (at >= 0) {
      if (around === undefined) ownNs += lengthOf(span);
      open.push(whole[at]);
      nodes.set(span, operationLabel(shown[at]));
    } else if (around !== undefined) ownNs -= lengthOf(span);
  }
  // Inner operations first: their causes are among those of the outer ones.
  for (const [span, label] of [...nodes].reverse()) span.causes = causesWithin(span, label);
  return { spans, ownNs, pruned };
}

/** The thread sleeps when an operation ends that was announced: it ends when the sleep ends. */
function nodeOf(operation: Operation, flat: readonly SpanDraft[]): Node {
  const { startNs, metric } = operation;
  const sleep = operation.isAnnounced
    ? flat.find((span) => span.startNs >= startNs && span.startNs < operation.endNs && span.endNs > startNs)
    : undefined;
  const endNs = sleep?.endNs ?? operation.endNs;
  return {
    name: operationName(metric),
    startNs,
    endNs,
    attributes: operationAttributes(operation),
    children: [],
  };
}

function cutsOne(operation: SpanDraft, flat: readonly SpanDraft[]): boolean {
  return flat.some(
    ({ startNs, endNs }) =>
      startNs < operation.endNs &&
      endNs > operation.startNs &&
      !(startNs >= operation.startNs && endNs <= operation.endNs),
  );
}

/** What its children explain, and the operation itself for the rest. */
function causesWithin(span: SpanDraft, label: string): Cause[] {
  const inner = span.children.flatMap(causesOf);
  const restNs = lengthOf(span) - inner.reduce((sum, { ns }) => sum + ns, 0);
  return restNs > 0 ? [...inner, { label, ns: restNs }] : inner;
}

/** Leaves out spans that are not in `shown`, except operations. */
export function prunedTo(
  shown: ReadonlySet<SpanDraft>,
  flat: ReadonlySet<SpanDraft>,
  spans: readonly SpanDraft[],
): SpanDraft[] {
  return spans
    .filter((span) => shown.has(span) || !flat.has(span))
    .map((span) => (flat.has(span) ? span : { ...span, children: prunedTo(shown, flat, span.children) }));
}
