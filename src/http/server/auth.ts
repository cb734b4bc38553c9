/** Basic authentication (RFC 7617) with bcrypt hashes. Response times do not reveal which users exist. */

import { hash as digest, randomBytes } from 'node:crypto';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import { createHasher, type Hasher } from './auth-hasher.ts';
import { type Asking, createFairQueue } from './auth-queue.ts';
import { costOf } from './bcrypt-hash.ts';

/** Right and wrong credentials have separate caches, so that many wrong passwords do not evict the few right ones. */
const MAX_RIGHT = 1024;
const MAX_WRONG = 1024;
const QUEUE = { total: 128, perNetwork: 32 };
/** After a wrong password, the client's network must wait as long as the check took, but at most this long. */
const MAX_REST_MS = 1000;

export interface Credentials {
  user: string;
  password: string;
}

export type Users = ReadonlyMap<string, string>;

/** `busy`: too many credentials are waiting for a check, or the check failed. */
export type Verdict = 'right' | 'wrong' | 'busy';

export interface Authenticator {
  /** Starts the thread that checks passwords, so that the first client does not wait for the start. */
  prepare(): void;
  /** Returns the cached result, or undefined if there is none. */
  known(credentials: Credentials, users: Users): 'right' | 'wrong' | undefined;
  /** Checks with bcrypt, and caches the result. Never settles if the client disconnects. */
  look(credentials: Credentials, users: Users, asker: Asker): Promise<Verdict>;
  /** Cuts off the current check, and begins no other one. */
  close(): void;
}

export interface Asker {
  network: string;
  failures: number;
  /** Registers a callback that is called when the client disconnects. */
  onGone(forget: () => void): void;
}

/** A pending check, shared by all clients that send the same credentials. */
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
  let closed = false;
  /** Networks that must wait, and the timer that ends the wait of each. */
  const resting = new Map<string, NodeJS.Timeout>();

  /** Returns a cache key that does not reveal the password. A changed hash changes the key. */
  const keyOf = ({ user, password }: Credentials, users: Users) =>
    digest('sha256', JSON.stringify([secret, user, password, users.get(user) ?? '']), 'base64');

  const settle = (look: Look, verdict: Verdict) => {
    looks.delete(look.key);
    for (const resolve of look.settle) resolve(verdict);
  };

  const next = async (): Promise<void> => {
    if (looking || closed) return;
    const look = queue.next((network) => resting.has(network));
    if (look === undefined) return;
    looking = true;
    const startMs = performance.now();
    let verdict: Verdict = 'busy';
    try {
      const matches = await hasher.compare(look.password, look.hash);
      verdict = matches && look.isUser ? 'right' : 'wrong';
      remember(results[verdict], look.key, verdict === 'right' ? MAX_RIGHT : MAX_WRONG);
    } catch (error) {
      if (!closed) log.error({ reason: reasonOf(error) }, 'could not check a password');
    }
    looking = false;
    settle(look, verdict);
    if (verdict !== 'right') rest(look.network, performance.now() - startMs);
    void next();
  };

  const rest = (network: string, ms: number) => {
    const over = () => {
      resting.delete(network);
      void next();
    };
    resting.set(network, setTimeout(over, Math.min(ms, MAX_REST_MS)).unref());
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
      closed = true;
      for (const timer of resting.values()) clearTimeout(timer);
      hasher.close();
    },
  };
}

/** Adds a key as the newest. Above the limit, evicts the oldest key. */
function remember(set: Set<string>, key: string, limit: number): void {
  set.delete(key);
  set.add(key);
  const [eldest] = set;
  if (set.size > limit) set.delete(eldest);
}

/** Returns a function that makes hashes for unknown users. No password matches, and checks are as slow as real ones. */
function createDecoys(secret: string): (user: string, users: Users) => string {
  const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  const body = [...randomBytes(53)].map((byte) => alphabet[byte % 64]).join('');
  return (user, users) => {
    const costs = [...new Set([...users.values()].map(costOf))].sort((a, b) => a - b);
    const pick = Number.parseInt(digest('sha256', `${secret}${user}`, 'hex').slice(0, 8), 16) % costs.length;
    return `$2b$${String(costs[pick]).padStart(2, '0')}$${body}`;
  };
}

/** Returns the Basic credentials of an `Authorization` header, or undefined if they are missing or malformed. */
export function credentialsOf(header: string | undefined): Credentials | undefined {
  const match = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header ?? '');
  if (match === null) return undefined;
  const text = Buffer.from(match[1], 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
