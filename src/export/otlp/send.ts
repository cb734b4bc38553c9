/**
 * One request in, its fate out: attempts with back-off and waits that the backend asks for, until it is taken, refused
 * for good, or too late (opentelemetry.io/docs/specs/otlp, failures and throttling). Nothing is queued here: a caller
 * has one request under way, and a request is held in memory for as long as it has time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Exporter } from './exporter.ts';

/** What became of a request in the end. */
export type Fate<Response> =
  | { taken: true; response: Response | undefined }
  | { taken: false; reason: string };

export interface Sender<Request, Response> {
  /** Never rejects, and ends within `withinMs`. */
  send(request: Request, withinMs: number): Promise<Fate<Response>>;
  /** For how many milliseconds the backend still wants no request; 0 when it takes them. */
  quietMs(): number;
  /** From now on nobody waits for another attempt: the attempt under way is the last one of its request. */
  hurry(): void;
  /** Gives up what is under way. */
  close(): void;
}

const FIRST_BACKOFF_MS = 1000;
const LONGEST_BACKOFF_MS = 10_000;
const BACKOFF_GROWTH = 1.6;
const JITTER = 0.2;
/** However long a backend asks to be left alone: a slip of its must not silence a node for a day. */
const LONGEST_WAIT_MS = 300_000;

export interface SenderOptions<Request, Response> {
  exporter: Exporter<Request, Response>;
  /** For one attempt. */
  timeoutMs: number;
  random?: () => number;
  /** A monotonic clock in milliseconds, and a wait that is false when `signal` cut it short. */
  clock?: { now(): number; wait(ms: number, signal: AbortSignal): Promise<boolean> };
}

const CLOCK = {
  now: () => performance.now(),
  wait: (ms: number, signal: AbortSignal) => sleep(ms, true, { signal }).catch(() => false),
};

export function createSender<Request, Response>(
  options: SenderOptions<Request, Response>,
): Sender<Request, Response> {
  const { exporter, timeoutMs, random = Math.random, clock = CLOCK } = options;
  const closing = new AbortController();
  const hurrying = new AbortController();
  /** The backend wants to be left alone until then. */
  let quietUntilMs = Number.NEGATIVE_INFINITY;

  /** False when it is no use to wait: there is no time for it, or nobody waits any more. */
  const waited = async (ms: number, deadlineMs: number): Promise<boolean> => {
    if (hurrying.signal.aborted || clock.now() + ms >= deadlineMs) return false;
    return clock.wait(ms, hurrying.signal);
  };

  return {
    send: async (request, withinMs) => {
      const deadlineMs = clock.now() + withinMs;
      const quietMs = quietUntilMs - clock.now();
      if (quietMs > 0 && !(await waited(quietMs, deadlineMs))) {
        return { taken: false, reason: `the backend wants to be left alone for ${seconds(quietMs)} more` };
      }
      let backoffMs = FIRST_BACKOFF_MS;
      for (;;) {
        const leftMs = Math.max(1, deadlineMs - clock.now());
        const timeMs = Math.min(timeoutMs, leftMs);
        const attempt = await exporter.attempt(request, timeMs, closing.signal, hurrying.signal);
        if (attempt.taken) return attempt;
        if (closing.signal.aborted) return { taken: false, reason: 'no answer before the program ended' };
        const { reason, retryable, waitMs } = attempt;
        if (!retryable) return { taken: false, reason };
        const ownPauseMs = backoffMs * (1 + JITTER * (2 * random() - 1));
        const pauseMs = Math.max(ownPauseMs, Math.min(waitMs ?? 0, LONGEST_WAIT_MS));
        if (waitMs !== undefined) quietUntilMs = clock.now() + pauseMs;
        if (!(await waited(pauseMs, deadlineMs))) return { taken: false, reason };
        backoffMs = Math.min(backoffMs * BACKOFF_GROWTH, LONGEST_BACKOFF_MS);
      }
    },
    quietMs: () => Math.max(0, quietUntilMs - clock.now()),
    hurry: () => hurrying.abort(),
    close: () => {
      hurrying.abort();
      closing.abort();
      exporter.close();
    },
  };
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
