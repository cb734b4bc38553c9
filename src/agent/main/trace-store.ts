/**
 * Traces that are kept on the node, backend or not: of each kind the last ones and the slowest ones. A bounded number of
 * bounded size, for a tree of calls can be large.
 */
import { SPAN_KINDS, type SpanKind, type SpansConfig, type TraceRecord } from '../../model/span.ts';

export interface SlowTraces {
  /** The newest first. */
  last: TraceRecord[];
  /** The slowest first, by `weightNs`. */
  slowest: TraceRecord[];
}

export interface TraceStore {
  /** Kinds that are on. */
  kinds: readonly SpanKind[];
  add(traces: readonly TraceRecord[]): void;
  /** At most so many of either, of a kind or of all. */
  slow(kind: SpanKind | undefined, limit: number): SlowTraces;
  /** Those with this id, the newest first: of an application's trace there can be several. */
  find(traceId: string, kind: SpanKind | undefined, limit: number): TraceRecord[];
  /** Ids of the root spans of all that is kept: the id of a trace may be an application's, which several share. */
  roots(): ReadonlySet<string>;
}

export interface StoreLimits {
  /** Of either list of a kind. */
  traces: number;
  spans: number;
  /** What is among the slowest is forgotten after so long. */
  keptMs: number;
}

const LIMITS: StoreLimits = { traces: 50, spans: 2000, keptMs: 3_600_000 };

interface Kept {
  trace: TraceRecord;
  atMs: number;
}

interface OfKind {
  /** The newest first. */
  last: Kept[];
  /** The slowest first. */
  slowest: Kept[];
}

export function makeTraceStore(
  config: Pick<SpansConfig, 'kinds'>,
  limits: StoreLimits = LIMITS,
  now: () => number = () => performance.now(),
): TraceStore {
  const kinds = SPAN_KINDS.filter((kind) => config.kinds[kind] !== undefined);
  const lists = new Map<SpanKind, OfKind>(kinds.map((kind) => [kind, { last: [], slowest: [] }]));
  /** Undefined when something has come or gone since. */
  let roots: ReadonlySet<string> | undefined;

  const forget = (of: OfKind): void => {
    const since = now() - limits.keptMs;
    if (!of.slowest.some(({ atMs }) => atMs < since)) return;
    of.slowest = of.slowest.filter(({ atMs }) => atMs >= since);
    roots = undefined;
  };

  const addOne = (of: OfKind, trace: TraceRecord): void => {
    const kept = { trace, atMs: now() };
    of.last.unshift(kept);
    cut(of.last, limits);
    const at = of.slowest.findIndex((other) => other.trace.weightNs < trace.weightNs);
    of.slowest.splice(at < 0 ? of.slowest.length : at, 0, kept);
    cut(of.slowest, limits);
    roots = undefined;
  };

  /** What is kept now, of a kind or of all. */
  const listsOf = (kind: SpanKind | undefined): OfKind[] => {
    const chosen = kind === undefined ? [...lists.values()] : [lists.get(kind) ?? { last: [], slowest: [] }];
    for (const of of chosen) forget(of);
    return chosen;
  };

  return {
    kinds,
    add: (traces) => {
      for (const trace of traces) {
        const of = lists.get(trace.kind);
        if (of === undefined) continue;
        forget(of);
        addOne(of, trace);
      }
    },
    slow: (kind, limit) => {
      const chosen = listsOf(kind);
      const last = chosen.flatMap((of) => of.last).sort(newestFirst);
      const slowest = chosen.flatMap((of) => of.slowest).sort((a, b) => b.trace.weightNs - a.trace.weightNs);
      return { last: tracesOf(last, limit), slowest: tracesOf(slowest, limit) };
    },
    find: (traceId, kind, limit) => {
      const found = keptIn(listsOf(kind)).filter(({ trace }) => trace.traceId === traceId);
      return tracesOf([...new Set(found)].sort(newestFirst), limit);
    },
    roots: () => {
      const chosen = listsOf(undefined);
      roots ??= new Set(keptIn(chosen).map(({ trace }) => trace.spans[0].spanId));
      return roots;
    },
  };
}

function newestFirst(a: Kept, b: Kept): number {
  return b.atMs - a.atMs;
}

function tracesOf(kept: readonly Kept[], limit: number): TraceRecord[] {
  return kept.slice(0, limit).map(({ trace }) => trace);
}

/** What is in both lists of a kind comes twice. */
function keptIn(lists: readonly OfKind[]): Kept[] {
  return lists.flatMap(({ last, slowest }) => [...last, ...slowest]);
}

/** Takes away the last ones until the rest is within the limits; one stays, whatever its size. */
function cut(list: Kept[], limits: StoreLimits): void {
  let spans = 0;
  for (let i = 0; i < list.length; i++) {
    spans += list[i].trace.spans.length;
    if (i > 0 && (i >= limits.traces || spans > limits.spans)) {
      list.length = i;
      return;
    }
  }
}
