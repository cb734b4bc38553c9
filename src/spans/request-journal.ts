/**
 * Block requests that were completed lately, in a ring, for calls that waited for them. 1 MiB of objects at most: there
 * are far fewer requests than events.
 */
import type { BlockRequest } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';

const DEPTH = 4096;
/** Between the completion of a request, on one CPU, and what it wakes there. */
const WAKES_WITHIN_NS = 200_000;

export class RequestJournal {
  readonly #requests: BlockRequest[] = [];
  #next = 0;

  add(request: BlockRequest): void {
    this.#requests[this.#next] = { ...request };
    this.#next = (this.#next + 1) % DEPTH;
  }

  /** Requests that were under way at some time within these bounds and have been completed, by completion. */
  within(fromNs: TimestampNs, toNs: TimestampNs): BlockRequest[] {
    const found = this.#requests.filter(
      (r) => r.completeNs > fromNs && r.issueNs < toNs && r.completeNs <= toNs,
    );
    return found.sort((a, b) => a.completeNs - b.completeNs);
  }
}

/** Who slept, and how that ended. */
export interface Sleeper {
  pid: number;
  wokenNs: TimestampNs;
  waker: number;
  wakerCpu: number;
  wakerWokenNs: TimestampNs;
  wakerWokenCpu: number;
}

/**
 * Whether a sleeper can have waited for a request: its own or its waker's; or one whose completion woke it, or woke its
 * waker.
 */
export function waitedFor(request: BlockRequest, sleeper: Sleeper): boolean {
  const { pid, wokenNs, waker, wakerCpu, wakerWokenNs, wakerWokenCpu } = sleeper;
  if (request.completeNs > wokenNs) return false;
  if (request.pid === pid || (waker !== 0 && request.pid === waker)) return true;
  return woke(request, wakerCpu, wokenNs) || woke(request, wakerWokenCpu, wakerWokenNs);
}

function woke({ cpu, completeNs }: BlockRequest, wokenCpu: number, wokenNs: TimestampNs): boolean {
  return cpu === wokenCpu && completeNs <= wokenNs && wokenNs - completeNs <= WAKES_WITHIN_NS;
}

/**
 * Of requests, ordered by completion, those on the way to the last one's end that do not overlap: the last one, the
 * last that ended before that began, and so on.
 */
export function criticalPath(requests: readonly BlockRequest[]): BlockRequest[] {
  const path: BlockRequest[] = [];
  let beforeNs = Number.POSITIVE_INFINITY;
  for (let i = requests.length - 1; i >= 0; i--) {
    const request = requests[i];
    if (request.completeNs > beforeNs) continue;
    path.push(request);
    beforeNs = request.issueNs;
  }
  return path.reverse();
}
