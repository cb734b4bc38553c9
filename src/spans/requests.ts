/** Finds the block request that ended a sleep, and the predecessor that had to complete before a request was issued. */
import type { BlockRequest } from '../model/intervals.ts';
import { SOFTIRQS } from '../model/softirqs.ts';
import type { TimestampNs } from '../model/time.ts';
import {
  BY_RAISED_SOFTIRQ,
  BY_SOFTIRQ,
  BY_TASK,
  BY_UNKNOWN,
  wakeKind,
  wakeNumber,
} from '../model/wake-codes.ts';
import { requestAttributes } from './attributes.ts';
import type { SpanDeps } from './deps.ts';
import type { Cause, SpanDraft } from './draft.ts';
import { errorOf } from './waits.ts';

/** Maximum time between the completion of a request and its effect: a wake-up, or the next request. */
const CAUSES_WITHIN_NS = 200_000;
/** Maximum time between a completion and the wake-up of the request's task by an interrupt on another CPU. */
const PASSED_ON_WITHIN_NS = 1_000_000;
const NET_TX = SOFTIRQS.indexOf('NET_TX');
const NET_RX = SOFTIRQS.indexOf('NET_RX');

/** A sleep of task `pid`. `wokenBy`, `waker` and `wakerCpu` are as in `SwitchIn`. */
export interface Sleep {
  pid: number;
  fromNs: TimestampNs;
  toNs: TimestampNs;
  wokenBy: number;
  waker: number;
  wakerCpu: number;
}

/** Block requests that completed during an operation, in the order of completion. */
export class Requests {
  readonly #all: readonly BlockRequest[];

  constructor(all: readonly BlockRequest[]) {
    this.#all = all;
  }

  /** Yields the requests that completed after `fromNs` and at or before `toNs`, newest first. */
  *completed(fromNs: TimestampNs, toNs: TimestampNs): Generator<BlockRequest> {
    const all = this.#all;
    let [low, high] = [0, all.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (all[middle].completeNs <= toNs) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1; i >= 0 && all[i].completeNs > fromNs; i--) yield all[i];
  }

  /** Finds the request whose completion ended a sleep. `waker` is the task that ended the sleep; 0: an interrupt. */
  thatEnded(sleep: Sleep, waker: number): BlockRequest | undefined {
    const { pid, fromNs, toNs, wokenBy, wakerCpu } = sleep;
    if (isOfNetwork(wokenBy)) return undefined;
    // A softirq completes requests with completer 0, even if the softirq runs in a task such as ksoftirqd.
    const completer = wakeKind(wokenBy) === BY_TASK ? waker : 0;
    for (const request of this.completed(Math.max(fromNs, toNs - CAUSES_WITHIN_NS), toNs))
      if (request.cpu === wakerCpu && request.completer === completer) return request;
    if (waker !== 0) return undefined;
    // An interrupt on another CPU may have woken the task. Without an event, the time of the wake-up is unknown.
    const sinceNs = wakeKind(wokenBy) === BY_UNKNOWN ? fromNs : Math.max(fromNs, toNs - PASSED_ON_WITHIN_NS);
    return this.#lastOf(pid, sinceNs, toNs);
  }

  /**
   * Returns the predecessor, or undefined. An interrupt issues a request right after the predecessor completed on the
   * same CPU. For other requests, the predecessor is the sleeping task's last request.
   */
  before(
    { issueNs, issueCpu, issuer }: BlockRequest,
    { pid, fromNs, toNs }: Sleep,
  ): BlockRequest | undefined {
    if (issuer === 0) {
      for (const earlier of this.completed(Math.max(fromNs, issueNs - CAUSES_WITHIN_NS), issueNs))
        if (earlier.cpu === issueCpu && earlier.completeNs < toNs) return earlier;
    }
    return this.#lastOf(pid, fromNs, toNs - 1);
  }

  #lastOf(pid: number, fromNs: TimestampNs, toNs: TimestampNs): BlockRequest | undefined {
    for (const request of this.completed(fromNs, toNs)) if (request.pid === pid) return request;
    return undefined;
  }
}

/** Whether a sleep ended because a packet was received or sent. */
function isOfNetwork(wokenBy: number): boolean {
  const kind = wakeKind(wokenBy);
  if (kind !== BY_SOFTIRQ && kind !== BY_RAISED_SOFTIRQ) return false;
  return wakeNumber(wokenBy) === NET_RX || wakeNumber(wokenBy) === NET_TX;
}

/** `startNs`: issue or, if later, start of the explained sleep. `below`: what the completing task did meanwhile. */
export function requestSpan(
  request: BlockRequest,
  startNs: TimestampNs,
  deps: SpanDeps,
  below: { children: readonly SpanDraft[]; causes: readonly Cause[] } = { children: [], causes: [] },
): SpanDraft {
  const { operation, device, issueNs, completeNs } = request;
  const explainedNs = below.causes.reduce((sum, { ns }) => sum + ns, 0);
  const label = `block ${operation} ${device}`;
  return {
    name: `block ${operation}`,
    startNs,
    endNs: completeNs,
    attributes: {
      ...requestAttributes(request),
      'cpu.logical_number': request.cpu,
      'ftrace.cut_at_start': issueNs < startNs ? true : undefined,
    },
    error: errorOf(deps, request.errno),
    children: below.children,
    causes: [...below.causes, { label, ns: completeNs - startNs - explainedNs }],
  };
}
