/**
 * One request in, its fate out: attempts with back-off and waits that the backend asks for, until it is taken, refused
 * for good, or too late (opentelemetry.io/docs/specs/otlp, failures and throttling). Nothing is queued here: a caller
 * has one request under way, and a request is held in memory for as long as it has time.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** What came of one attempt. */
export type Attempt =
  | { taken: true; response: Uint8Array }
  /** `waitMs`: how long the backend wants to be left alone. */
  | { taken: false; reason: string; retryable: boolean; waitMs?: number };

/** Carries requests of one signal to one place, by one protocol. */
export interface Transport {
  /** Never rejects, and does not outlast `timeoutMs`, or `signal`. */
  attempt(body: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Attempt>;
  /** Ends connections. */
  close(): void;
}

export type Fate = { taken: true; response: Uint8Array } | { taken: false; reason: string };

export interface Sender {
  /** Never rejects, and does not outlast `withinMs`. */
  send(body: Uint8Array, withinMs: number): Promise<Fate>;
  /** How long the backend still wants to be left alone; 0: not at all. */
  quietMs(): number;
  /** From now on nobody waits for another attempt: the one under way is the last one of its request. */
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

export interface SenderOptions {
  transport: Transport;
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

export function createSender(options: SenderOptions): Sender {
  const { transport, timeoutMs, random = Math.random, clock = CLOCK } = options;
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
    send: async (body, withinMs) => {
      const deadlineMs = clock.now() + withinMs;
      const quietMs = quietUntilMs - clock.now();
      if (quietMs > 0 && !(await waited(quietMs, deadlineMs))) {
        return { taken: false, reason: `the backend wants to be left alone for ${seconds(quietMs)} more` };
      }
      let backoffMs = FIRST_BACKOFF_MS;
      for (;;) {
        const leftMs = Math.max(1, deadlineMs - clock.now());
        const attempt = await transport.attempt(body, Math.min(timeoutMs, leftMs), closing.signal);
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
      transport.close();
    },
  };
}

/** Why an attempt that had no more time was refused. */
export function noAnswer(timeoutMs: number): string {
  return `no answer within ${Math.round(timeoutMs / 100) / 10} s`;
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
