/** Keeps the newest and the slowest traces of each kind. Limits their spans, because one trace can be large. */

import { SPAN_KINDS, type SpanKind, type SpansConfig, type TraceRecord } from '../../model/span.ts';
import { fairShares } from '../../spans/fair-shares.ts';

export interface SlowTraces {
  /** Newest first. */
  last: TraceRecord[];
  /** Slowest first, by `weightNs`. */
  slowest: TraceRecord[];
}

export interface TraceStore {
  kinds: readonly SpanKind[];
  add(traces: readonly TraceRecord[]): void;
  /** At most `limit` traces in each list. If `kind` is undefined, each kind gets a fair share of the limit. */
  slow(kind: SpanKind | undefined, limit: number): SlowTraces;
  /** The newest last. */
  all(): TraceRecord[];
  /** Newest first. Several traces have the same id if an application set the id. */
  find(traceId: string, kind: SpanKind | undefined, limit: number): TraceRecord[];
  /** Ids of the root spans of all stored traces. Unlike trace ids, they are unique. */
  roots(): ReadonlySet<string>;
}

export interface StoreLimits {
  /** In each of the two lists of a kind. */
  traces: number;
  spans: number;
  /** Traces older than this leave the list of the slowest traces. */
  keptMs: number;
}

const LIMITS: StoreLimits = { traces: 50, spans: 2000, keptMs: 3_600_000 };

interface Kept {
  trace: TraceRecord;
  atMs: number;
}

interface OfKind {
  /** Newest first. */
  last: Kept[];
  /** Slowest first. */
  slowest: Kept[];
}

export function makeTraceStore(
  config: Pick<SpansConfig, 'kinds'>,
  limits: StoreLimits = LIMITS,
  now: () => number = () => performance.now(),
): TraceStore {
  const kinds = SPAN_KINDS.filter((kind) => config.kinds[kind] !== undefined);
  const lists = new Map<SpanKind, OfKind>(kinds.map((kind) => [kind, { last: [], slowest: [] }]));
  /** Undefined after a trace was added or removed. */
  let roots: ReadonlySet<string> | undefined;

  const forget = (lists: OfKind): void => {
    const since = now() - limits.keptMs;
    if (!lists.slowest.some(({ atMs }) => atMs < since)) return;
    lists.slowest = lists.slowest.filter(({ atMs }) => atMs >= since);
    roots = undefined;
  };

  const addOne = (lists: OfKind, trace: TraceRecord): void => {
    const entry = { trace, atMs: now() };
    lists.last.unshift(entry);
    cut(lists.last, limits);
    const at = lists.slowest.findIndex((other) => other.trace.weightNs < trace.weightNs);
    lists.slowest.splice(at < 0 ? lists.slowest.length : at, 0, entry);
    cut(lists.slowest, limits);
    roots = undefined;
  };

  /** The lists of one kind or of all kinds, without expired traces. */
  const listsOf = (kind: SpanKind | undefined): OfKind[] => {
    const chosen = kind === undefined ? [...lists.values()] : [lists.get(kind) ?? { last: [], slowest: [] }];
    for (const ofKind of chosen) forget(ofKind);
    return chosen;
  };

  return {
    kinds,
    add: (traces) => {
      for (const trace of traces) {
        const ofKind = lists.get(trace.kind);
        if (ofKind === undefined) continue;
        forget(ofKind);
        addOne(ofKind, trace);
      }
    },
    slow: (kind, limit) => {
      const chosen = listsOf(kind);
      const last = fairly(
        chosen.map((lists) => lists.last),
        limit,
      );
      const slowest = fairly(
        chosen.map((lists) => lists.slowest),
        limit,
      );
      return {
        last: tracesOf(last.sort(newestFirst), limit),
        slowest: tracesOf(
          slowest.sort((a, b) => b.trace.weightNs - a.trace.weightNs),
          limit,
        ),
      };
    },
    all: () => {
      const entries = new Set(keptIn(listsOf(undefined)));
      return tracesOf([...entries].sort(newestFirst).reverse(), Number.POSITIVE_INFINITY);
    },
    find: (traceId, kind, limit) => {
      const entries = keptIn(listsOf(kind)).filter(({ trace }) => trace.traceId === traceId);
      return tracesOf([...new Set(entries)].sort(newestFirst), limit);
    },
    roots: () => {
      const chosen = listsOf(undefined);
      roots ??= new Set(keptIn(chosen).map(({ trace }) => trace.spans[0].spanId));
      return roots;
    },
  };
}

/** Returns the first entries of each list, `limit` in total. */
function fairly(lists: readonly (readonly Kept[])[], limit: number): Kept[] {
  const wanted = lists.map(({ length }) => length);
  const shares = fairShares(wanted, limit);
  return lists.flatMap((list, i) => list.slice(0, shares[i]));
}

function newestFirst(a: Kept, b: Kept): number {
  return b.atMs - a.atMs;
}

function tracesOf(entries: readonly Kept[], limit: number): TraceRecord[] {
  return entries.slice(0, limit).map(({ trace }) => trace);
}

/** A trace that is in both lists of a kind appears twice. */
function keptIn(lists: readonly OfKind[]): Kept[] {
  return lists.flatMap(({ last, slowest }) => [...last, ...slowest]);
}

/** Keeps at least one entry. */
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
