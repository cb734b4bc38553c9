/** What comes of pushes: each is counted, and told of in the log, seldom enough for a backend that is gone for days. */
import type { Log } from '../../model/log.ts';

export interface PushCounts {
  count(outcome: 'exported' | 'failed'): void;
  /** Data points or spans that the backend did not take of a push that it took. */
  reject(points: number): void;
}

export interface Outcomes {
  exported(): void;
  failed(reason: string): void;
  /** `points` 0: the backend took them all, and has something to say. */
  rejected(points: number, reason: string): void;
  /** Traces that were never pushed. */
  dropped(traces: number, reason: string): void;
  /** Nothing is pushed any more. */
  ended(): void;
}

const LOG_EVERY_MS = 60_000;

/** `what` is pushed, as in "metrics". */
export function createOutcomes(
  what: string,
  counts: PushCounts,
  log: Log,
  now: () => number = () => performance.now(),
): Outcomes {
  /** Since they were last told of. */
  let failures = 0;
  /** Since it was last told that all is well. */
  let outage = 0;
  let rejected = 0;
  let lastReason: string | undefined;
  const failureTold = everyMinute(now);
  const rejectionTold = everyMinute(now);
  const recoveryTold = everyMinute(now);
  const dropTold = everyMinute(now);
  let dropped = 0;
  return {
    exported: () => {
      counts.count('exported');
      if (lastReason === undefined) return;
      lastReason = undefined;
      if (!recoveryTold()) return;
      log.info({ signal: what, failed: outage }, 'OTLP: the backend takes what is pushed again');
      failures = 0;
      outage = 0;
    },
    failed: (reason) => {
      counts.count('failed');
      lastReason = reason;
      failures++;
      outage++;
      if (!failureTold()) return;
      log.warn({ signal: what, reason, failed: failures }, 'OTLP: a push failed');
      failures = 0;
    },
    rejected: (points, reason) => {
      counts.reject(points);
      rejected += points;
      if (!rejectionTold()) return;
      log.warn({ signal: what, reason, points: rejected }, 'OTLP: the backend did not take all of a push');
      rejected = 0;
    },
    dropped: (traces, reason) => {
      dropped += traces;
      if (!dropTold()) return;
      log.warn({ signal: what, reason, traces: dropped }, 'OTLP: traces were dropped');
      dropped = 0;
    },
    ended: () => {
      if (lastReason === undefined) return;
      log.warn({ signal: what, reason: lastReason }, 'OTLP: the last values did not arrive');
    },
  };
}

/** True at most once a minute. */
function everyMinute(now: () => number): () => boolean {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = now();
    if (nowMs - toldAtMs < LOG_EVERY_MS) return false;
    toldAtMs = nowMs;
    return true;
  };
}

/** How many of the `sent` items a backend says it rejected: a number in its answer that cannot be is none, or all. */
export function rejectedOf(said: number | string | null | undefined, sent: number): number {
  return Math.min(Math.max(Number(said) || 0, 0), sent);
}
