/** Counts and logs the outcomes of pushes. Logs rarely, because a backend can be unavailable for days. */
import type { Log } from '../../model/log.ts';

export interface PushCounts {
  count(outcome: 'exported' | 'failed'): void;
  /** Data points or spans that the backend rejected from a push that it accepted. */
  reject(points: number): void;
}

export interface Outcomes {
  exported(): void;
  failed(reason: string): void;
  /** `points` 0: the backend accepted everything, and sent a message. */
  rejected(points: number, reason: string): void;
  /** Traces that were never pushed. */
  dropped(traces: number, reason: string): void;
  /** No more pushes follow. */
  ended(): void;
}

const LOG_EVERY_MS = 60_000;

/** `what` is the signal, such as "metrics". */
export function createOutcomes(
  what: string,
  counts: PushCounts,
  log: Log,
  now: () => number = () => performance.now(),
): Outcomes {
  /** Failures since the last log line about failures. */
  let failures = 0;
  /** Failures since the last log line about a recovery. */
  let outage = 0;
  let rejected = 0;
  let lastReason: string | undefined;
  const mayLogFailure = everyMinute(now);
  const mayLogRejection = everyMinute(now);
  const mayLogRecovery = everyMinute(now);
  const mayLogDrop = everyMinute(now);
  let dropped = 0;
  return {
    exported: () => {
      counts.count('exported');
      if (lastReason === undefined) return;
      lastReason = undefined;
      if (!mayLogRecovery()) return;
      log.info({ signal: what, failed: outage }, 'OTLP: pushing works again');
      failures = 0;
      outage = 0;
    },
    failed: (reason) => {
      counts.count('failed');
      lastReason = reason;
      failures++;
      outage++;
      if (!mayLogFailure()) return;
      log.warn({ signal: what, reason, failed: failures }, 'OTLP: a push failed');
      failures = 0;
    },
    rejected: (points, reason) => {
      counts.reject(points);
      rejected += points;
      if (!mayLogRejection()) return;
      log.warn({ signal: what, reason, points: rejected }, 'OTLP: the backend rejected part of a push');
      rejected = 0;
    },
    dropped: (traces, reason) => {
      dropped += traces;
      if (!mayLogDrop()) return;
      log.warn({ signal: what, reason, traces: dropped }, 'OTLP: traces were dropped');
      dropped = 0;
    },
    ended: () => {
      if (lastReason === undefined) return;
      log.warn({ signal: what, reason: lastReason }, 'OTLP: the last push failed, its data is lost');
    },
  };
}

/** Returns true at most once a minute. */
function everyMinute(now: () => number): () => boolean {
  let lastAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = now();
    if (nowMs - lastAtMs < LOG_EVERY_MS) return false;
    lastAtMs = nowMs;
    return true;
  };
}

/** Number of the `sent` items that the backend reports as rejected. An impossible number is clamped to 0 or `sent`. */
export function rejectedOf(reported: number | string | null | undefined, sent: number): number {
  return Math.min(Math.max(Number(reported) || 0, 0), sent);
}
