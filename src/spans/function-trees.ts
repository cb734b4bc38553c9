/**
 * The kind `function_graph`: an outermost call of a traced function that took long, and the calls it made. Calls shorter
 * than `minChildNs` are left out, and all but the longest of a tree; the call they were made by tells how many.
 *
 * The tracer stamps calls with a clock of its own. A tree is laid on the trace clock by the record of its return: all of
 * it is late by the moment between the return and its record.
 */
import type { FunctionNames } from '../model/function-names.ts';
import type { FunctionReturn, IntervalSinks } from '../model/intervals.ts';
import type { Attributes, KindOptions } from '../model/span.ts';
import { seconds } from './attributes.ts';
import { CallForest, NONE } from './call-forest.ts';
import type { SpanDeps } from './deps.ts';
import type { ExemplarDraft, Offer, SpanDraft, TraceDraft } from './draft.ts';
import { exemplar } from './waits.ts';

const DURATION = 'ftrace_function_duration_seconds';
const UNKNOWN = 'unknown';
const MOST_SPANS = 100;
const SHORTEST_NS = 100_000;

/** A tree while it is told of. */
interface Tree {
  forest: CallForest;
  names: FunctionNames;
  deps: SpanDeps;
  /** Calls that become spans. */
  kept: ReadonlySet<number>;
  /** From the tracer's clock to the trace clock. */
  offsetNs: number;
  pruned: number;
  exemplars: ExemplarDraft[];
}

export function makeFunctionTrees(options: KindOptions, offer: Offer, deps: SpanDeps): IntervalSinks {
  const { thresholdNs, minChildNs = SHORTEST_NS, maxSpans = MOST_SPANS } = options;
  let names: FunctionNames = { nameOf: () => undefined, generation: 0 };
  const forest: CallForest = new CallForest(thresholdNs, minChildNs, maxSpans, (root, call, isWhole) => {
    offer('function_graph', forest.durations[root], () => {
      const tree: Tree = {
        ...{ forest, names, deps, pruned: 0, exemplars: [] },
        kept: longestOf(forest, root, maxSpans),
        offsetNs: forest.offsets[root],
      };
      return draftOf(tree, root, call, isWhole);
    });
  });
  return {
    functions: {
      names: (functions) => {
        names = functions;
      },
      returned: (call) => forest.add(call),
      lost: (untilNs) => forest.lost(untilNs),
    },
  };
}

function draftOf(tree: Tree, root: number, { pid }: FunctionReturn, isWhole: boolean): TraceDraft {
  const { forest, deps, offsetNs } = tree;
  // What an interrupt does is not its task's.
  const isTasks = forest.inInterrupt[root] === 0;
  const startNs = forest.starts[root] + offsetNs;
  const endNs = startNs + forest.durations[root];
  const span = spanOf(tree, root, startNs, endNs, {
    ...(isTasks ? { 'ftrace.thread.id': pid } : {}),
    ...(isWhole ? {} : { 'ftrace.incomplete': true }),
  });
  return {
    root: span,
    pid: isTasks ? pid : 0,
    parent: isTasks ? deps.parentOf(pid, startNs) : undefined,
    pruned: tree.pruned,
    exemplars: tree.exemplars,
  };
}

/** Stamps of CPUs can differ: what sticks out of its caller is cut off. */
function spanOf(tree: Tree, node: number, startNs: number, endNs: number, more: Attributes): SpanDraft {
  const { forest, kept, names, deps } = tree;
  const name = names.nameOf(forest.lows[node], forest.highs[node]) ?? UNKNOWN;
  const cpu = forest.cpus[node];
  const children: SpanDraft[] = [];
  let prunedCalls = forest.prunedCalls[node];
  let prunedNs = forest.prunedNs[node];
  let freeNs = startNs;
  for (let at = forest.first[node]; at !== NONE; at = forest.next[at]) {
    if (!kept.has(at)) {
      prunedNs += forest.durations[at];
      prunedCalls += callsOf(forest, at);
      continue;
    }
    const from = forest.starts[at] + tree.offsetNs;
    const start = Math.min(Math.max(from, freeNs), endNs);
    freeNs = Math.min(Math.max(from + forest.durations[at], start), endNs);
    children.push(spanOf(tree, at, start, freeNs, {}));
  }
  tree.pruned += prunedCalls;
  const span: SpanDraft = {
    name: `function ${name}`,
    startNs,
    endNs,
    attributes: {
      'code.function.name': name,
      'cpu.logical_number': cpu,
      ...more,
      ...(forest.inInterrupt[node] === 0 ? {} : { 'ftrace.interrupt': true }),
      ...(prunedCalls === 0
        ? {}
        : { 'ftrace.calls.pruned': prunedCalls, 'ftrace.calls.pruned_time': seconds(prunedNs) }),
    },
    children,
  };
  tree.exemplars.push(
    ...exemplar(deps, 'function_graph', DURATION, [name], { cpu, span, valueNs: forest.durations[node] }),
  );
  return span;
}

function callsOf(forest: CallForest, node: number): number {
  let calls = 1 + forest.prunedCalls[node];
  for (let at = forest.first[node]; at !== NONE; at = forest.next[at]) calls += callsOf(forest, at);
  return calls;
}

/** The longest so many calls of a tree; among calls of one length the outer ones, so that each has its caller. */
function longestOf(forest: CallForest, root: number, most: number): Set<number> {
  const found: { node: number; ns: number; level: number }[] = [];
  const collect = (node: number, callerNs: number, level: number): void => {
    const ns = Math.min(forest.durations[node], callerNs);
    found.push({ node, ns, level });
    for (let at = forest.first[node]; at !== NONE; at = forest.next[at]) collect(at, ns, level + 1);
  };
  collect(root, Number.POSITIVE_INFINITY, 0);
  found.sort((a, b) => b.ns - a.ns || a.level - b.level);
  return new Set(found.slice(0, most).map(({ node }) => node));
}
