/**
 * Sends one request: retries with back-off, or after the wait that the backend asks for, until the request is accepted,
 * rejected for good, or out of time (opentelemetry.io/docs/specs/otlp, failures and throttling). There is no queue: a
 * caller has one request under way, and it stays in memory while it has time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Accepted, Exporter } from './exporter.ts';

/** Final outcome of a request. */
export type Fate = Accepted | { accepted: false; reason: string };

export interface Sender<Request> {
  /** Never rejects, and ends within `withinMs`. */
  send(request: Request, withinMs: number): Promise<Fate>;
  /** Milliseconds for which the backend still asks us to send nothing; 0 if it accepts requests. */
  quietMs(): number;
  /** Stop waiting between attempts: the current attempt of a request is its last one. */
  hurry(): void;
  /** Abandons the request under way. */
  close(): void;
}

const FIRST_BACKOFF_MS = 1000;
const LONGEST_BACKOFF_MS = 10_000;
const BACKOFF_GROWTH = 1.6;
const JITTER = 0.2;
/** Longest wait that we grant a backend, so that its mistake can't silence a node for a day. */
const LONGEST_WAIT_MS = 300_000;

export interface SenderOptions<Request> {
  exporter: Exporter<Request>;
  /** For one attempt. */
  timeoutMs: number;
  random?: () => number;
  /** A monotonic clock in milliseconds, and a wait that returns false if `signal` ended it early. */
  clock?: { now(): number; wait(ms: number, signal: AbortSignal): Promise<boolean> };
}

const CLOCK = {
  now: () => performance.now(),
  wait: (ms: number, signal: AbortSignal) => sleep(ms, true, { signal }).catch(() => false),
};

export function createSender<Request>(options: SenderOptions<Request>): Sender<Request> {
  const { exporter, timeoutMs, random = Math.random, clock = CLOCK } = options;
  const hurrying = new AbortController();
  /** The backend asked us to send nothing until then. */
  let quietUntilMs = Number.NEGATIVE_INFINITY;

  /** Returns false if there is no time to wait, or `hurry` was called. */
  const waited = async (ms: number, deadlineMs: number): Promise<boolean> => {
    if (hurrying.signal.aborted || clock.now() + ms >= deadlineMs) return false;
    return clock.wait(ms, hurrying.signal);
  };

  return {
    send: async (request, withinMs) => {
      const deadlineMs = clock.now() + withinMs;
      const quietMs = quietUntilMs - clock.now();
      if (quietMs > 0 && !(await waited(quietMs, deadlineMs))) {
        return { accepted: false, reason: `backend asked to retry in ${seconds(quietMs)}` };
      }
      let backoffMs = FIRST_BACKOFF_MS;
      for (;;) {
        const leftMs = Math.max(1, deadlineMs - clock.now());
        const timeMs = Math.min(timeoutMs, leftMs);
        const attempt = await exporter.attempt(request, timeMs);
        if (attempt.accepted) return attempt;
        const { reason, retryable, waitMs } = attempt;
        if (!retryable) return { accepted: false, reason };
        const ownPauseMs = backoffMs * (1 + JITTER * (2 * random() - 1));
        const pauseMs = Math.max(ownPauseMs, Math.min(waitMs ?? 0, LONGEST_WAIT_MS));
        if (waitMs !== undefined) quietUntilMs = clock.now() + pauseMs;
        if (!(await waited(pauseMs, deadlineMs))) return { accepted: false, reason };
        backoffMs = Math.min(backoffMs * BACKOFF_GROWTH, LONGEST_BACKOFF_MS);
      }
    },
    quietMs: () => Math.max(0, quietUntilMs - clock.now()),
    hurry: () => hurrying.abort(),
    close: () => {
      hurrying.abort();
      exporter.close();
    },
  };
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
