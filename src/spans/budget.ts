/**
 * Decides which slow operations become traces: the slowest of each interval. Each trace costs a token. Tokens arrive at
 * a fixed rate. Some are reserved for each kind; each other token goes to the kind with the fewest recent traces.
 */
import type { SpanKind } from '../model/span.ts';
import type { SpanCounts } from './deps.ts';
import { countSpans, type Offer, type TraceDraft } from './draft.ts';
import { fairShares } from './fair-shares.ts';

interface Candidate {
  weightNs: number;
  draft: TraceDraft;
}

export interface Chosen extends Candidate {
  kind: SpanKind;
}

export interface Budget {
  offer: Offer;
  /** Ends the interval, which lasted `seconds`. Returns the operations that become traces. */
  take(seconds: number): Chosen[];
}

/** Unused tokens accumulate up to the number that arrives in this time. */
const BURST_S = 2;
/** Share of the tokens that is reserved. Each kind gets an equal part of the reserved tokens. */
const RESERVED_SHARE = 0.25;
/** Half-life of the number of recent traces (`used`). */
const HALF_LIFE_S = 60;

export function makeBudget(kinds: readonly SpanKind[], tracesPerSecond: number, counts: SpanCounts): Budget {
  const places = Math.max(1, Math.ceil(tracesPerSecond * BURST_S));
  const reserve = (places * RESERVED_SHARE) / kinds.length;
  const heaps = kinds.map((): Candidate[] => []);
  /** `used`: number of recent traces of each kind. `reserved`: number of unused reserved tokens of each kind. */
  const used = kinds.map(() => 0);
  const reserved = kinds.map(() => reserve);
  let tokens = places;
  /** Maximum number of kept operations per kind: the tokens expected one second after the last `take`. */
  let room = places;

  /** Returns the number of traces of each kind. `wanted` is the number of kept operations of each kind. */
  const sharesOf = (wanted: readonly number[]): number[] => {
    const own = reserved.map(Math.floor);
    const least = wanted.map((count, i) => Math.min(count, own[i]));
    const held = own.reduce((sum, count, i) => sum + count - least[i], 0);
    const free = Math.floor(tokens) - held - sumOf(least);
    const rest = fairShares(
      wanted.map((count, i) => count - least[i]),
      free,
      used.map((count, i) => count + least[i]),
    );
    return rest.map((share, i) => share + least[i]);
  };

  const drop = (kind: SpanKind, { draft }: Candidate): void => {
    counts.trace(kind, 'over_budget');
    counts.span(kind, 'over_budget', countSpans(draft.root));
  };

  return {
    offer: (kind, weightNs, make) => {
      const heap = heaps[kinds.indexOf(kind)];
      if (heap === undefined) return;
      if (heap.length >= room) {
        if (weightNs <= heap[0].weightNs) {
          counts.trace(kind, 'over_budget');
          counts.span(kind, 'over_budget');
          return;
        }
        drop(kind, popLeast(heap));
      }
      push(heap, { weightNs, draft: make() });
    },
    take: (seconds) => {
      tokens = Math.min(places, tokens + seconds * tracesPerSecond);
      const fading = 0.5 ** (seconds / HALF_LIFE_S);
      for (let i = 0; i < kinds.length; i++) {
        used[i] *= fading;
        reserved[i] = Math.min(
          reserve,
          reserved[i] + (seconds * tracesPerSecond * RESERVED_SHARE) / kinds.length,
        );
      }
      const sorted = heaps.map((heap) => heap.sort((a, b) => b.weightNs - a.weightNs));
      const shares = sharesOf(sorted.map(({ length }) => length));
      const chosen: Chosen[] = [];
      for (const [i, kind] of kinds.entries()) {
        for (const [rank, candidate] of sorted[i].entries()) {
          if (rank < shares[i]) chosen.push({ kind, ...candidate });
          else drop(kind, candidate);
        }
        used[i] += shares[i];
        reserved[i] = Math.max(0, reserved[i] - shares[i]);
        heaps[i] = [];
      }
      tokens -= chosen.length;
      room = Math.min(places, Math.ceil(tokens + tracesPerSecond));
      return chosen;
    },
  };
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Adds a candidate to a binary heap with the smallest weight at the root. */
function push(heap: Candidate[], candidate: Candidate): void {
  let at = heap.push(candidate) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent].weightNs <= candidate.weightNs) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = candidate;
}

function popLeast(heap: Candidate[]): Candidate {
  const least = heap[0];
  const moved = heap.pop() as Candidate;
  if (heap.length === 0) return least;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1].weightNs < heap[child].weightNs) child++;
    if (heap[child].weightNs >= moved.weightNs) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = moved;
  return least;
}
