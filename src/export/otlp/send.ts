/**
 * Sends one request at a time. Retries temporary failures after the exponential back-off or the backend's requested
 * wait, whichever is longer, until a time limit (opentelemetry.io/docs/specs/otlp).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fate } from './connection.ts';
import type { Exporter } from './exporter.ts';

export type Sender<Request> = ReturnType<typeof createSender<Request>>;

const FIRST_BACKOFF_MS = 1000;
const LONGEST_BACKOFF_MS = 10_000;
const BACKOFF_GROWTH = 1.6;
const JITTER = 0.2;
/** Limit for the wait that a backend requests. A bogus value could stop pushes for a day. */
const LONGEST_WAIT_MS = 300_000;

/** `now` is a monotonic clock in milliseconds. `wait` resolves to false if `signal` ends the wait early. */
const CLOCK = {
  now: () => performance.now(),
  wait: (ms: number, signal: AbortSignal) => sleep(ms, true, { signal }).catch(() => false),
};

/** `timeoutMs` is the time limit of one attempt. */
export function createSender<Request>(
  exporter: Exporter<Request>,
  timeoutMs: number,
  { now, wait }: typeof CLOCK = CLOCK,
  random: () => number = Math.random,
) {
  const ending = new AbortController();
  let endMs = Number.POSITIVE_INFINITY;
  /** The backend asked us to send nothing before this time. */
  let quietUntilMs = Number.NEGATIVE_INFINITY;
  /** Returns the remaining milliseconds of the backend's requested wait, or 0. */
  const quietMs = (): number => Math.max(0, quietUntilMs - now());

  return {
    /** Resolves to the final outcome within `withinMs`. Never rejects. */
    send: async (request: Request, withinMs: number): Promise<Fate> => {
      const deadlineMs = Math.min(now() + withinMs, endMs);
      if (now() >= deadlineMs) return { accepted: false, reason: 'the time limit of this push is over' };
      let backoffMs = FIRST_BACKOFF_MS;
      let pauseMs = quietMs();
      let reason = `backend asked to retry in ${Math.ceil(pauseMs / 1000)} s`;
      for (;;) {
        if (pauseMs > 0) {
          const hasTime = !ending.signal.aborted && now() + pauseMs < deadlineMs;
          if (!hasTime || !(await wait(pauseMs, ending.signal))) return { accepted: false, reason };
        }
        const leftMs = Math.max(1, deadlineMs - now());
        const attempt = await exporter.attempt(request, Math.min(timeoutMs, leftMs));
        if (attempt.accepted || !attempt.retryable) return attempt;
        const { waitMs } = attempt;
        reason = attempt.reason;
        pauseMs = backoffMs * (1 + JITTER * (2 * random() - 1));
        if (waitMs !== undefined) {
          pauseMs = Math.max(pauseMs, Math.min(waitMs, LONGEST_WAIT_MS));
          quietUntilMs = now() + pauseMs;
        }
        backoffMs = Math.min(backoffMs * BACKOFF_GROWTH, LONGEST_BACKOFF_MS);
      }
    },
    quietMs,
    /** Stops retries: after this call, each request has at most one attempt, and all attempts end within `withinMs`. */
    end: (withinMs: number): void => {
      endMs = now() + withinMs;
      ending.abort();
      setTimeout(exporter.close, withinMs).unref();
    },
    /** Abandons the current attempt, and closes the connection. */
    close: exporter.close,
  };
}
