/**
 * Basic authentication (RFC 7617) against bcrypt hashes: a request's credentials in, let in or not out. Results are
 * remembered; what is not is looked at one at a time, in fair order, and unknown names cost what known ones do.
 */
import { hash as digest, randomBytes } from 'node:crypto';
import type { Log } from '../../model/log.ts';
import { createHasher, type Hasher } from './auth-hasher.ts';
import { type Asking, createFairQueue } from './auth-queue.ts';
import { costOf } from './web-config-schema.ts';

/** Users are few; wrong passwords are many, and must not push out right ones. */
const MAX_RIGHT = 1024;
const MAX_WRONG = 1024;
const QUEUE = { total: 128, perNetwork: 32 };
/**
 * A network rests after a wrong password for as long as the look took, and so long at most: guessing gets half a CPU.
 */
const MAX_REST_MS = 1000;

export interface Credentials {
  user: string;
  password: string;
}

export type Users = ReadonlyMap<string, string>;

/** `busy`: more ask than can be looked at. */
export type Verdict = 'right' | 'wrong' | 'busy';

export interface Authenticator {
  /** Says that somebody is about to come. */
  prepare(): void;
  /** What is known without a look; undefined: nothing. */
  known(credentials: Credentials, users: Users): 'right' | 'wrong' | undefined;
  /** Looks. Once the client has gone the promise stays open. */
  look(credentials: Credentials, users: Users, asker: Asker): Promise<Verdict>;
  close(): void;
}

export interface Asker {
  network: string;
  failures: number;
  /** Calls back when the client goes. */
  onGone(forget: () => void): void;
}

/** One look, for all that ask for the same at once. */
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

  /** Changes with the hash, so that a new password takes effect; keeps no password. */
  const keyOf = ({ user, password }: Credentials, users: Users) =>
    digest('sha256', JSON.stringify([secret, user, password, users.get(user) ?? '']), 'base64');

  const settle = (look: Look, verdict: Verdict) => {
    looks.delete(look.key);
    for (const tell of look.settle) tell(verdict);
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
      log.error({ reason: (error as Error).message }, 'a password could not be looked at');
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
        look.settle = look.settle.filter((tell) => tell !== resolve);
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

/** Forgets the eldest beyond a limit. */
function remember(set: Set<string>, key: string, limit: number): void {
  set.delete(key);
  set.add(key);
  const [eldest] = set;
  if (set.size > limit) set.delete(eldest);
}

/**
 * Hashes for names that no user has: nobody's password, at a cost that a user's hash has, the same for a name each time.
 * Where costs differ, a name's time so tells no more than that somebody's hash has that cost.
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

/** Credentials of an `Authorization` header; undefined when it has none of this kind. */
export function credentialsOf(header: string | undefined): Credentials | undefined {
  const match = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header ?? '');
  if (match === null) return undefined;
  const text = Buffer.from(match[1], 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
