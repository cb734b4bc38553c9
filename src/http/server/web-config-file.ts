/**
 * The web config in force. Whoever takes a connection or a request asks for it; the file, and those it names, are read
 * again when one of them has changed. A new version that is wrong is refused with a log line, and the old one stays.
 */
import { type BigIntStats, statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { errnoOf, UsageError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import { readWebConfig, type WebConfig } from './web-config.ts';

/** Of looking at the files: a few microseconds each, which a flood of requests would multiply. */
const LOOK_EVERY_MS = 100;
/** A file that is this young when it is read can change again without its time showing it. */
const SETTLED_AFTER_MS = 1000;

export interface WebConfigFile {
  /** The version in force; looks for a newer one. */
  current(): WebConfig;
}

/** Throws a `UsageError` when the file is wrong from the start. */
export function openWebConfig(
  path: string,
  log: Log,
  { lookEveryMs = LOOK_EVERY_MS, stat = (file: string) => statSync(file, { bigint: true }) } = {},
): WebConfigFile {
  /** What the files looked like before they were read. */
  let seen = new Map<string, string>();
  let settled = false;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let refused = '';

  const read = (): WebConfig => {
    seen = new Map();
    const nowMs = Date.now();
    settled = true;
    return readWebConfig(path, (file) => {
      const { look, changedMs } = lookAt(file, stat);
      seen.set(file, look);
      if (Math.abs(nowMs - changedMs) < SETTLED_AFTER_MS) settled = false;
    });
  };

  let config = read();
  tellOf(config, path, log, 'reading a web config');

  const refuse = (reason: string) => {
    if (reason !== refused) {
      log.error(
        { file: path, reason },
        'the web config has changed and is wrong: the old one stays in force',
      );
    }
    refused = reason;
  };

  const renew = () => {
    let next: WebConfig;
    try {
      next = read();
    } catch (error) {
      refuse(error instanceof UsageError ? error.message : String((error as Error).stack ?? error));
      return;
    }
    const loss = protectionLost(config, next);
    if (loss !== undefined) {
      refuse(`${loss}: restart the agent if this is meant`);
      return;
    }
    const changed = !isDeepStrictEqual(next, config);
    if (changed || refused !== '') tellOf(next, path, log, 'the web config has been read again');
    refused = '';
    // The old object stays while it says the same: connections in the making go by it.
    if (changed) config = next;
  };

  return {
    current: () => {
      const nowMs = performance.now();
      if (nowMs - lookedAtMs < lookEveryMs) return config;
      lookedAtMs = nowMs;
      if (!settled || [...seen].some(([file, look]) => lookAt(file, stat).look !== look)) renew();
      return config;
    },
  };
}

/** What a new version would leave open: a file that was emptied, or that somebody is writing, must not open the port. */
function protectionLost(old: WebConfig, next: WebConfig): string | undefined {
  if (old.users.size > 0 && next.users.size === 0)
    return 'it has no users any more, so everybody would come in';
  if (old.tls === undefined) return undefined;
  if (next.tls === undefined)
    return 'it has no TLS any more, so passwords and metrics would be readable on the way';
  if (old.tls.clients.require && !next.tls.clients.require)
    return 'it asks clients for no certificate any more';
  if (old.tls.clients.verify && !next.tls.clients.verify)
    return 'it does not verify certificates of clients any more';
  if (old.tls.clients.names && !next.tls.clients.names) return 'it has no client_allowed_sans any more';
  return undefined;
}

/** Follows links: Kubernetes changes a Secret by pointing a link elsewhere. */
function lookAt(file: string, stat: (file: string) => BigIntStats): { look: string; changedMs: number } {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = stat(file);
    const changedNs = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
    return {
      look: [dev, ino, size, mtimeNs, ctimeNs].join(' '),
      changedMs: Number(changedNs / 1_000_000n),
    };
  } catch (error) {
    return { look: errnoOf(error), changedMs: 0 };
  }
}

function tellOf({ tls, users, rate }: WebConfig, file: string, log: Log, message: string): void {
  const until = tls && new Date(tls.validUntilMs).toISOString();
  const limited = rate !== undefined;
  log.info({ file, tls: tls !== undefined, http2: false, users: users.size, rate_limit: limited }, message);
  if (tls && tls.validUntilMs < Date.now()) log.warn({ file, until }, 'the certificate has expired');
}
