/**
 * Makes spans of the operations that are measured by declared metrics (model/declared-metric.ts). The spans are in the
 * traces of slow syscalls and in traces of the kind `metrics`.
 */
import type { Operation } from '../model/intervals.ts';
import type { KindOptions } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import { taskAttributes } from './attributes.ts';
import type { SpanDeps } from './deps.ts';
import type { Cause, Offer, SpanDraft } from './draft.ts';
import { lengthOf, longestOf } from './longest.ts';
import { causesOf } from './summary.ts';

/** Traces of slow syscalls leave out operations shorter than this. */
export const LONG_OPERATION_NS = 50_000;
const DEPTH = 4096;
/** Maximum number of operations in the trace of a call, and of child spans in each operation. */
const MOST_SHOWN = 32;

export class OperationJournal {
  readonly #ring: Operation[] = [];
  #count = 0;

  add(operation: Operation): void {
    this.#ring[this.#count++ % DEPTH] = operation;
  }

  /** Returns the task's operations that began within a period. */
  within(pid: number, fromNs: TimestampNs, toNs: TimestampNs): Operation[] {
    return this.#ring.filter((one) => one.pid === pid && one.startNs >= fromNs && one.startNs < toNs);
  }
}

interface Node extends SpanDraft {
  children: SpanDraft[];
  causes: readonly Cause[];
}

/** Returns a function that offers a trace of each slow operation whose metric the config includes. */
export function makeOperationTraces(
  { thresholdNs, include = ['*'] }: KindOptions,
  offer: Offer,
  deps: SpanDeps,
  commOf: (pid: number, cpu: number) => string,
) {
  const isNamed = deps.matcher(include);
  return (operation: Operation): void => {
    const { metric, pid, cpu, startNs, endNs } = operation;
    if (endNs - startNs < thresholdNs || !isNamed(metricName(metric))) return;
    const comm = commOf(pid, cpu);
    const make = () => {
      const { causes: _, ...span } = nodeOf(operation, endNs);
      const root = { ...span, attributes: { ...taskAttributes(pid, comm), ...span.attributes } };
      return { root, pid, parent: deps.parentOf(pid, startNs), pruned: 0, exemplars: [] };
    };
    offer('metrics', endNs - startNs, make, { pid, comm, atNs: startNs });
  };
}

/** Returns the name of a metric as written in the config: without the prefix `ftrace_`. */
export function metricName({ name }: { name: string }): string {
  return name.replace(/^ftrace_/, '');
}

/** The operation is the cause of the span's whole time; `nested` later subtracts the time of inner spans. */
function nodeOf({ metric, values, cpu, startNs }: Operation, endNs: TimestampNs): Node {
  const name = metricName(metric).replace(/_seconds(_total)?$/, '');
  const labels = metric.labels.map((label, i) => [`ftrace.label.${label.name}`, values[i]]);
  return {
    ...{ name, startNs, endNs, children: [] },
    attributes: { 'cpu.logical_number': cpu, 'ftrace.metric': metric.name, ...Object.fromEntries(labels) },
    causes: [{ label: [name, ...values].join(' '), ns: endNs - startNs }],
  };
}

export interface Nested {
  spans: SpanDraft[];
  /** Part of the call's time that lies in an operation but in none of the spans in `flat` (see `nested`). */
  ownNs: number;
  /** Number of spans that were left out: spans of operations, and children of these spans. */
  pruned: number;
}

/**
 * Adds operations to the spans of a call (`flat`, in time order) as parents of the spans within. Leaves out operations
 * that end after the call (`endNs`) or overlap another span only partly.
 */
export function nested(flat: readonly SpanDraft[], operations: readonly Operation[], endNs: number): Nested {
  const { shown, rest } = longestOf(operations, MOST_SHOWN, lengthOf);
  const nodes = shown.map((operation) => nodeOf(operation, endOf(operation, flat)));
  const isNode = (span: SpanDraft): span is Node => nodes.includes(span as Node);
  const top = { spans: [] as SpanDraft[], ownNs: 0, pruned: rest.length };
  const open: Node[] = [];
  const placed: Node[] = [];
  for (const span of [...nodes, ...flat].sort((a, b) => a.startNs - b.startNs || b.endNs - a.endNs)) {
    while (open.length > 0 && open[open.length - 1].endNs <= span.startNs) open.pop();
    const around = open.at(-1);
    if (isNode(span)) {
      if (span.endNs > (around?.endNs ?? endNs) || flat.some((one) => isCut(one, span))) {
        top.pruned++;
        continue;
      }
      if (around === undefined) top.ownNs += lengthOf(span);
      open.push(span);
      placed.push(span);
    } else if (around !== undefined) top.ownNs -= lengthOf(span);
    (around?.children ?? top.spans).push(span);
  }
  // Process inner operations first, because outer operations include the causes of inner operations.
  for (const node of placed.reverse()) {
    const inner = node.children.flatMap(causesOf);
    const restNs = lengthOf(node) - inner.reduce((sum, { ns }) => sum + ns, 0);
    node.causes = [...inner, { label: node.causes[0].label, ns: Math.max(0, restNs) }];
    const children = longestOf(node.children, MOST_SHOWN, lengthOf);
    node.children = children.shown;
    top.pruned += children.rest.length;
  }
  return top;
}

/** Returns the operation's end. A sleep (`taskTime` is `spends`) ends with the first span that begins within it. */
function endOf({ metric, startNs, endNs }: Operation, flat: readonly SpanDraft[]): TimestampNs {
  const isWithin = (span: SpanDraft) =>
    span.startNs >= startNs && span.startNs < endNs && span.endNs > startNs;
  return (metric.taskTime === 'spends' ? flat.find(isWithin)?.endNs : undefined) ?? endNs;
}

/** Whether a span lies partly within `by` and partly outside. */
function isCut({ startNs, endNs }: SpanDraft, by: SpanDraft): boolean {
  const overlaps = startNs < by.endNs && endNs > by.startNs;
  return overlaps && (startNs < by.startNs || endNs > by.endNs);
}
