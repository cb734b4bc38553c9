/**
 * Basic authentication (RFC 7617) with bcrypt hashes. Results are cached. New credentials are checked one at a time, in
 * a fair order. An unknown name costs as much time as a known one.
 */

import { hash as digest, randomBytes } from 'node:crypto';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import { createHasher, type Hasher } from './auth-hasher.ts';
import { type Asking, createFairQueue } from './auth-queue.ts';
import { costOf } from './web-config-schema.ts';

/** Users are few, but wrong passwords are many. Separate caches ensure that wrong ones do not evict right ones. */
const MAX_RIGHT = 1024;
const MAX_WRONG = 1024;
const QUEUE = { total: 128, perNetwork: 32 };
/**
 * After a wrong password, its network must wait before the next check: as long as the check took, at most this long. So
 * guessing uses at most half a CPU.
 */
const MAX_REST_MS = 1000;

export interface Credentials {
  user: string;
  password: string;
}

export type Users = ReadonlyMap<string, string>;

/** `busy`: too many credentials are waiting for their check. */
export type Verdict = 'right' | 'wrong' | 'busy';

export interface Authenticator {
  /** Starts the thread that checks passwords, because a client may come soon. */
  prepare(): void;
  /** The cached result. Undefined if there is none. */
  known(credentials: Credentials, users: Users): 'right' | 'wrong' | undefined;
  /** Checks the credentials. If the client disconnects, the promise never settles. */
  look(credentials: Credentials, users: Users, asker: Asker): Promise<Verdict>;
  close(): void;
}

export interface Asker {
  network: string;
  failures: number;
  /** Registers a callback for the moment when the client disconnects. */
  onGone(forget: () => void): void;
}

/** A check that all clients with the same credentials share. */
interface Look extends Asking {
  key: string;
  password: string;
  hash: string;
  isUser: boolean;
  settle: ((verdict: Verdict) => void)[];
}

export function createAuthenticator(log: Log, hasher: Hasher = createHasher()): Authenticator {
  const secret = randomBytes(32).toString('base64');
  const decoy = createDecoys(secret);
  const results = { right: new Set<string>(), wrong: new Set<string>() };
  const looks = new Map<string, Look>();
  const queue = createFairQueue<Look>(QUEUE);
  let looking = false;
  let resting: { network: string; timer: NodeJS.Timeout } | undefined;

  /** The key depends on the hash, so that a new password takes effect. It does not reveal the password. */
  const keyOf = ({ user, password }: Credentials, users: Users) =>
    digest('sha256', JSON.stringify([secret, user, password, users.get(user) ?? '']), 'base64');

  const settle = (look: Look, verdict: Verdict) => {
    looks.delete(look.key);
    for (const resolve of look.settle) resolve(verdict);
  };

  const next = async (): Promise<void> => {
    if (looking) return;
    const look = queue.next(resting?.network);
    if (look === undefined) return;
    looking = true;
    const startMs = performance.now();
    let verdict: Verdict = 'busy';
    try {
      const matches = await hasher.compare(look.password, look.hash);
      verdict = matches && look.isUser ? 'right' : 'wrong';
      remember(results[verdict], look.key, verdict === 'right' ? MAX_RIGHT : MAX_WRONG);
    } catch (error) {
      log.error({ reason: reasonOf(error) }, 'password check failed');
    }
    looking = false;
    settle(look, verdict);
    if (verdict !== 'right') rest(look.network, performance.now() - startMs);
    void next();
  };

  const rest = (network: string, ms: number) => {
    clearTimeout(resting?.timer);
    const over = () => {
      resting = undefined;
      void next();
    };
    resting = { network, timer: setTimeout(over, Math.min(ms, MAX_REST_MS)).unref() };
  };

  return {
    prepare: () => hasher.prepare(),
    known: (credentials, users) => {
      const key = keyOf(credentials, users);
      if (results.right.has(key)) return 'right';
      return results.wrong.has(key) ? 'wrong' : undefined;
    },
    look: (credentials, users, { network, failures, onGone }) => {
      const { user, password } = credentials;
      const key = keyOf(credentials, users);
      const { promise, resolve } = Promise.withResolvers<Verdict>();
      const same = looks.get(key);
      const hash = users.get(user) ?? decoy(user, users);
      const look = same ?? {
        key,
        network,
        user,
        failures,
        password,
        hash,
        isUser: users.has(user),
        settle: [],
      };
      look.settle.push(resolve);
      onGone(() => {
        look.settle = look.settle.filter((one) => one !== resolve);
        if (look.settle.length > 0) return;
        queue.remove(look);
        if (looks.get(key) === look) looks.delete(key);
      });
      if (same === undefined) {
        looks.set(key, look);
        const victim = queue.push(look);
        if (victim !== undefined) settle(victim, 'busy');
        void next();
      }
      return promise;
    },
    close: () => {
      clearTimeout(resting?.timer);
      hasher.close();
    },
  };
}

/** Adds a key. If there are more than the limit, removes the oldest. */
function remember(set: Set<string>, key: string, limit: number): void {
  set.delete(key);
  set.add(key);
  const [eldest] = set;
  if (set.size > limit) set.delete(eldest);
}

/**
 * Hashes for unknown names. No password matches them. Each name always gets the cost of the same real user's hash, so
 * the response time reveals only that some user's hash has this cost.
 */
function createDecoys(secret: string): (user: string, users: Users) => string {
  const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  const body = [...randomBytes(53)].map((byte) => alphabet[byte % 64]).join('');
  return (user, users) => {
    const costs = [...new Set([...users.values()].map(costOf))].sort((a, b) => a - b);
    const pick = Number.parseInt(digest('sha256', `${secret}${user}`, 'hex').slice(0, 8), 16) % costs.length;
    return `$2b$${String(costs[pick]).padStart(2, '0')}$${body}`;
  };
}

/** Credentials in an `Authorization` header. Undefined if it contains no valid Basic credentials. */
export function credentialsOf(header: string | undefined): Credentials | undefined {
  const match = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header ?? '');
  if (match === null) return undefined;
  const text = Buffer.from(match[1], 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
