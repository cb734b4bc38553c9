/** Counts refused clients by reason for `/metrics`. Logs each reason at most once a minute, even in a flood. */
import type { Log } from '../../model/log.ts';

export const REFUSAL_REASONS = [
  /** There were too many connections, so we closed an old one or refused the new one. */
  'connections',
  'tls_handshake',
  'client_certificate',
  'rate_limit',
  /** The request had no credentials, like the first request of a browser. */
  'no_credentials',
  'wrong_credentials',
  /** Too many credentials are waiting for a check, or the check failed. */
  'credentials_queue',
  'max_requests',
  /** Too many live streams are open. */
  'streams',
  /** The request took too long to arrive. */
  'slow_request',
  'large_headers',
  'malformed_request',
  /** The client was disconnected because it read its response too slowly. */
  'slow_reader',
  /** Unread responses use all memory for responses. */
  'memory',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export interface Refusals {
  count(reason: RefusalReason, fields?: { client?: string | undefined; detail?: string }): void;
}

export const REFUSED_METRIC = {
  name: 'ftrace_exporter_http_refused_total',
  help: 'HTTP requests and connections that the agent refused, by reason. A reason has no series until it first occurs.',
  labels: ['reason'],
} as const;
const LOG_EVERY_MS = 60_000;
/** Reasons that are logged at level debug, because they are normal for a server on a network. */
const QUIET: readonly RefusalReason[] = [
  'tls_handshake',
  'no_credentials',
  'slow_request',
  'malformed_request',
];

export function createRefusals(
  log: Log,
  onRefusal: (reason: RefusalReason) => void = () => {},
  now: () => number = () => performance.now(),
): Refusals {
  /** By reason: the number of refusals since the last log line, and the time of that log line. */
  const all = new Map<RefusalReason, { count: number; loggedAtMs: number }>();
  return {
    count: (reason, fields = {}) => {
      onRefusal(reason);
      const one = all.get(reason) ?? { count: 0, loggedAtMs: Number.NEGATIVE_INFINITY };
      all.set(reason, one);
      one.count++;
      const nowMs = now();
      if (nowMs - one.loggedAtMs < LOG_EVERY_MS) return;
      const level = QUIET.includes(reason) ? 'debug' : 'warn';
      log[level]({ reason, count: one.count, ...fields }, 'refused clients');
      one.count = 0;
      one.loggedAtMs = nowMs;
    },
  };
}
