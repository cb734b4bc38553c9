/** Provides the current web config. Keeps the old version if a changed file is invalid or protects less. */
import { type BigIntStats, statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { errnoOf, UsageError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import { readWebConfig, type WebConfig } from './web-config.ts';

/** Minimum time between checks of the files. A check per request would cost too much in a flood. */
const LOOK_EVERY_MS = 100;
/** A file that changed less than this time before a read is read again, because timestamps are coarse. */
const SETTLED_AFTER_MS = 1000;

export interface WebConfigFile {
  /** Returns the current version. Checks first whether the files have changed, at most every `LOOK_EVERY_MS`. */
  current(): WebConfig;
}

/** Throws a `UsageError` if the file is invalid at startup. */
export function openWebConfig(
  path: string,
  log: Log,
  { lookEveryMs = LOOK_EVERY_MS, stat = (file: string) => statSync(file, { bigint: true }) } = {},
): WebConfigFile {
  /** Result of `lookAt` for each file just before we read the file, by path. */
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
  tellOf(config, path, log, 'web config loaded');

  const refuse = (reason: string) => {
    if (reason !== refused) {
      log.error({ file: path, reason }, 'rejected the changed web config; the old one stays in use');
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
      refuse(`${loss}: restart the agent if you want this`);
      return;
    }
    const changed = !isDeepStrictEqual(next, config);
    if (changed || refused !== '') tellOf(next, path, log, 'web config reloaded');
    refused = '';
    // Keep the old object if nothing changed, because listen.ts creates a new TLS server for each new object.
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

/** Returns an error message if `next` lacks a protection. A half-written file must not admit everyone. */
function protectionLost(old: WebConfig, next: WebConfig): string | undefined {
  if (old.users.size > 0 && next.users.size === 0)
    return 'it no longer has users, so everybody could read the metrics';
  if (old.tls === undefined) return undefined;
  if (next.tls === undefined)
    return 'it no longer has TLS, so passwords and metrics would be sent unencrypted';
  if (old.tls.clients.require && !next.tls.clients.require)
    return 'it no longer requires client certificates';
  if (old.tls.clients.verify && !next.tls.clients.verify) return 'it no longer verifies client certificates';
  if (old.tls.clients.names && !next.tls.clients.names)
    return 'it no longer has client_allowed_sans, so more clients could connect';
  return undefined;
}

/** Returns a text that changes with the file, and the time of the change. Follows the symbolic links of Secrets. */
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
  if (tls && tls.validUntilMs < Date.now())
    log.warn({ file, until }, 'the certificate of the web config has expired: renew it');
}
