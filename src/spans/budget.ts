/**
 * Decides which of the slow operations become traces. Within an interval each kind keeps its slowest, at most as many as
 * the whole budget allows. At its end the kinds share the tokens fairly; what one does not need goes to the others.
 * Memory is bounded: a candidate takes a place or loses it, nothing waits.
 */
import type { SpanKind } from '../model/span.ts';
import type { SpanCounts } from './deps.ts';
import { countSpans, type Offer, type TraceDraft } from './draft.ts';

interface Candidate {
  weightNs: number;
  draft: TraceDraft;
}

export interface Chosen extends Candidate {
  kind: SpanKind;
}

export interface Budget {
  offer: Offer;
  /** Ends the interval, which lasted `seconds`: returns its traces and counts the rest. */
  take(seconds: number): Chosen[];
}

/** Tokens that can be saved while nothing is slow, in seconds of the rate. */
const BURST_S = 2;

export function makeBudget(kinds: readonly SpanKind[], tracesPerSecond: number, counts: SpanCounts): Budget {
  const places = Math.max(1, Math.ceil(tracesPerSecond * BURST_S));
  const heaps = new Map(kinds.map((kind) => [kind, [] as Candidate[]]));
  let tokens = places;

  const drop = (kind: SpanKind, { draft }: Candidate): void => {
    counts.trace(kind, 'over_budget');
    counts.span(kind, 'over_budget', countSpans(draft.root));
  };

  return {
    offer: (kind, weightNs, make) => {
      const heap = heaps.get(kind);
      if (heap === undefined) return;
      if (heap.length >= places) {
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
      const whole = Math.floor(tokens);
      const sorted = new Map(
        [...heaps].map(([kind, heap]) => [kind, heap.sort((a, b) => b.weightNs - a.weightNs)]),
      );
      const shares = fairShares(
        [...sorted].map(([, heap]) => heap.length),
        whole,
      );
      const chosen: Chosen[] = [];
      let at = 0;
      for (const [kind, heap] of sorted) {
        const share = shares[at++];
        for (const [i, candidate] of heap.entries()) {
          if (i < share) chosen.push({ kind, ...candidate });
          else drop(kind, candidate);
        }
        heaps.set(kind, []);
      }
      tokens -= chosen.length;
      return chosen;
    },
  };
}

/** Max-min fair shares of `tokens`: those who want least are served first. */
export function fairShares(wanted: readonly number[], tokens: number): number[] {
  const shares = wanted.map(() => 0);
  let remaining = tokens;
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
  order.forEach((who, i) => {
    shares[who] = Math.min(wanted[who], Math.ceil(remaining / (order.length - i)));
    remaining -= shares[who];
  });
  return shares;
}

/** Heaps with the smallest weight at the root. */
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
