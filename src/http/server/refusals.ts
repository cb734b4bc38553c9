/** Clients that were turned away, by why: counted for `/metrics`, and told of in the log, seldom enough for a flood. */
import type { SampleFamily } from '../../export/sample-family.ts';
import type { Log } from '../../model/log.ts';

export const REFUSAL_REASONS = [
  /** Made room for a newer connection, or found none. */
  'connections',
  'tls_handshake',
  'client_certificate',
  'rate_limit',
  /** Asked without credentials, as a browser does first. */
  'no_credentials',
  'wrong_credentials',
  /** More new credentials than can be looked at. */
  'credentials_queue',
  'max_requests',
  /** Took longer for its request than it may. */
  'slow_request',
  'large_headers',
  /** Sent what is no HTTP. */
  'malformed_request',
  /** Took its answer too slowly while others were waiting for theirs. */
  'slow_reader',
  /** Other answers that are on their way hold the memory for answers. */
  'memory',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export interface Refusals {
  count(reason: RefusalReason, fields?: { client?: string | undefined; detail?: string }): void;
  /** None while nobody was. */
  families(): SampleFamily[];
}

export const REFUSED_METRIC = {
  name: 'ftrace_exporter_http_refused_total',
  help: 'Clients that were turned away, by why; a reason appears when it first happens.',
  labels: ['reason'],
} as const;
const LOG_EVERY_MS = 60_000;
/** What is in the nature of a server in a network, and no sign of trouble. */
const QUIET: readonly RefusalReason[] = [
  'tls_handshake',
  'no_credentials',
  'slow_request',
  'malformed_request',
];

export function createRefusals(log: Log, now: () => number = () => performance.now()): Refusals {
  const { name, help } = REFUSED_METRIC;
  const all = new Map<RefusalReason, { total: number; told: number; toldAtMs: number }>();
  return {
    count: (reason, fields = {}) => {
      const one = all.get(reason) ?? { total: 0, told: 0, toldAtMs: Number.NEGATIVE_INFINITY };
      all.set(reason, one);
      one.total++;
      const nowMs = now();
      if (nowMs - one.toldAtMs < LOG_EVERY_MS) return;
      const level = QUIET.includes(reason) ? 'debug' : 'warn';
      log[level]({ reason, count: one.total - one.told, ...fields }, 'clients were turned away');
      one.told = one.total;
      one.toldAtMs = nowMs;
    },
    families: () => {
      const samples = [...all].map(([reason, { total }]) => ({
        suffix: '' as const,
        labels: { reason },
        value: total,
      }));
      return samples.length === 0 ? [] : [{ name, help, kind: 'counter', samples }];
    },
  };
}
