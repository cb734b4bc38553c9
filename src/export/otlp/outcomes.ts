/** Counts and logs the outcomes of pushes. Logs rarely, because a backend can be unavailable for days. */
import type { Log } from '../../model/log.ts';
import type { PushCounts } from '../../model/otlp.ts';
import type { Fate } from './connection.ts';

const LOG_EVERY_MS = 60_000;

/** `signal` is the value of the field `signal` in each log line, for example "metrics". */
export function createOutcomes(
  signal: 'metrics' | 'traces',
  counts: PushCounts,
  log: Log,
  now: () => number = () => performance.now(),
) {
  /** Returns a function that adds up counts, and logs the sum in the field `unit` at most once per minute. */
  const line = (level: 'info' | 'warn', message: string, unit: string) => {
    let sum = 0;
    let lastAtMs = Number.NEGATIVE_INFINITY;
    return (count: number, reason?: string): void => {
      sum += count;
      if (now() - lastAtMs < LOG_EVERY_MS) return;
      lastAtMs = now();
      log[level]({ signal, reason, [unit]: sum }, message);
      sum = 0;
    };
  };
  const logFailure = line('warn', 'OTLP: a push failed', 'failed');
  const logRecovery = line('info', 'OTLP: pushing works again', 'failed');
  const rejected = signal === 'traces' ? 'spans' : 'points';
  const logRejection = line('warn', 'OTLP: the backend rejected part of a push', rejected);
  /** Failures since the last success. */
  let failures = 0;
  let reason = '';
  return {
    /** Counts and logs the outcome of one request. */
    take: (fate: Fate): void => {
      counts.count(fate.accepted ? 'exported' : 'failed');
      if (!fate.accepted) {
        failures++;
        ({ reason } = fate);
        logFailure(1, reason);
        return;
      }
      if (failures > 0) logRecovery(failures);
      failures = 0;
      counts.reject(fate.rejected);
      if (fate.rejected > 0 || fate.message !== '') logRejection(fate.rejected, fate.message);
    },
    /** Logs traces that were dropped before a push. */
    dropped: line('warn', 'OTLP: traces were dropped', 'traces'),
    /** Called after the last push. Logs a warning if that push failed. */
    ended: (): void => {
      if (failures > 0) log.warn({ signal, reason }, 'OTLP: the last push failed; its data is lost');
    },
  };
}
