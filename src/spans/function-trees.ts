/**
 * Makes traces of the kind `function_graph`: a slow outermost call of a traced function, with the longest calls inside.
 * The tracer has its own clock. The record of the outermost return also has a timestamp of the trace clock, for the
 * conversion. All times are slightly late, because the kernel writes this record after the return.
 */
import { type FunctionNames, NAMELESS } from '../model/function-names.ts';
import type { FunctionReturn, IntervalSinks } from '../model/intervals.ts';
import type { KindOptions } from '../model/span.ts';
import type { DraftAttributes } from './attributes.ts';
import { seconds } from './attributes.ts';
import { CallForest, NONE } from './call-forest.ts';
import type { SpanDeps } from './deps.ts';
import type { ExemplarDraft, Offer, SpanDraft, TraceDraft } from './draft.ts';
import { exemplar } from './waits.ts';

const DURATION = 'ftrace_function_duration_seconds';
const UNKNOWN = 'unknown';
const MOST_SPANS = 100;
const SHORTEST_NS = 100_000;

/** A tree of calls that is being converted to spans. */
interface Tree {
  forest: CallForest;
  names: FunctionNames;
  deps: SpanDeps;
  /** Calls that become spans. */
  shown: ReadonlySet<number>;
  /** Trace clock minus tracer's clock, in nanoseconds. */
  offsetNs: number;
  pruned: number;
  exemplars: ExemplarDraft[];
}

export function makeFunctionTrees(options: KindOptions, offer: Offer, deps: SpanDeps): IntervalSinks {
  const { thresholdNs, minChildNs = SHORTEST_NS, maxSpans = MOST_SPANS } = options;
  let names: FunctionNames = NAMELESS;
  const forest: CallForest = new CallForest(thresholdNs, minChildNs, maxSpans, (root, call, isWhole) => {
    const make = (): TraceDraft => {
      const tree: Tree = {
        ...{ forest, names, deps, pruned: 0, exemplars: [] },
        shown: longestOf(forest, root, maxSpans),
        offsetNs: forest.offsets[root],
      };
      return draftOf(tree, root, call, isWhole);
    };
    const isTasks = forest.inInterrupt[root] === 0;
    const atNs = forest.starts[root] + forest.offsets[root];
    offer(
      'function_graph',
      forest.durations[root],
      make,
      isTasks ? { pid: call.pid, comm: '', atNs } : undefined,
    );
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
  // An interrupt does not belong to the task that it interrupts.
  const isTasks = forest.inInterrupt[root] === 0;
  const startNs = forest.starts[root] + offsetNs;
  const endNs = startNs + forest.durations[root];
  const span = spanOf(tree, root, startNs, endNs, {
    'ftrace.thread.id': isTasks ? pid : undefined,
    'ftrace.incomplete': isWhole ? undefined : true,
  });
  return {
    root: span,
    pid: isTasks ? pid : 0,
    parent: isTasks ? deps.parentOf(pid, startNs) : undefined,
    pruned: tree.pruned,
    exemplars: tree.exemplars,
  };
}

/** Makes the spans of a call and of the calls below. Clamps inner calls, because clocks of CPUs can disagree. */
function spanOf(tree: Tree, node: number, startNs: number, endNs: number, more: DraftAttributes): SpanDraft {
  const { forest, shown, names, deps } = tree;
  const name = names.nameOf(forest.lows[node], forest.highs[node]) ?? UNKNOWN;
  const cpu = forest.cpus[node];
  const children: SpanDraft[] = [];
  let prunedCalls = forest.prunedCalls[node];
  let prunedNs = forest.prunedNs[node];
  let freeNs = startNs;
  for (let at = forest.first[node]; at !== NONE; at = forest.next[at]) {
    if (!shown.has(at)) {
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
      'ftrace.interrupt': forest.inInterrupt[node] === 0 ? undefined : true,
      'ftrace.calls.pruned': prunedCalls || undefined,
      'ftrace.calls.pruned_time': prunedCalls === 0 ? undefined : seconds(prunedNs),
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

/** Returns the longest calls. Prefers outer calls of equal length, so that the caller of a shown call is shown. */
function longestOf(forest: CallForest, root: number, most: number): Set<number> {
  const calls: { node: number; ns: number; level: number }[] = [];
  const collect = (node: number, callerNs: number, level: number): void => {
    const ns = Math.min(forest.durations[node], callerNs);
    calls.push({ node, ns, level });
    for (let at = forest.first[node]; at !== NONE; at = forest.next[at]) collect(at, ns, level + 1);
  };
  collect(root, Number.POSITIVE_INFINITY, 0);
  calls.sort((a, b) => b.ns - a.ns || a.level - b.level);
  return new Set(calls.slice(0, most).map(({ node }) => node));
}
