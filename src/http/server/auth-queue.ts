/**
 * Whose password is looked at next, while there are more than can be. Fair to addresses first, so that a flood from one
 * delays another by one password at most; on an address, to connections on which nobody has failed yet, then to names.
 * Only what was asked for counts, never whether a user exists: the order must not tell.
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface Asking {
  /** As `networkOf` gives it. */
  network: string;
  user: string;
  /** Failed attempts on the same connection. */
  failures: number;
}

export interface FairQueue<T extends Asking> {
  /** Takes one more. Gives who has to go instead, the newcomer itself perhaps; undefined when there is room. */
  push(asking: T): T | undefined;
  /** Takes out who is next, `except` those of one network; undefined when there is nobody. */
  next(except?: string): T | undefined;
  /** Takes out who has gone away. */
  remove(asking: T): void;
  readonly size: number;
}

export interface QueueLimits {
  total: number;
  perNetwork: number;
}

/** Of turns that are remembered. */
const MAX_REMEMBERED = 1024;

export function createFairQueue<T extends Asking>({ total, perNetwork }: QueueLimits): FairQueue<T> {
  /** In the order of arrival. */
  let queue: T[] = [];
  /** When a network, or a name on it, had its last turn. */
  const turns = new Map<string, number>();
  let turn = 0;
  const turnOf = (key: string) => turns.get(key) ?? 0;
  const had = (key: string) => {
    turns.delete(key);
    turns.set(key, ++turn);
    const [eldest] = turns.keys();
    if (turns.size > MAX_REMEMBERED) turns.delete(eldest);
  };
  const nameOf = ({ network, user }: T) => `${network} ${user}`;
  const sooner = (a: T, b: T) =>
    turnOf(a.network) - turnOf(b.network) || a.failures - b.failures || turnOf(nameOf(a)) - turnOf(nameOf(b));

  return {
    push: (asking) => {
      queue.push(asking);
      const neighbours = queue.filter(({ network }) => network === asking.network);
      const crowd =
        neighbours.length > perNetwork ? neighbours : queue.length > total ? mostCrowded(queue) : [];
      if (crowd.length === 0) return undefined;
      // Of equals the last: who has waited longer keeps the place.
      const victim = crowd.reduce((worst, one) => (one.failures >= worst.failures ? one : worst));
      queue = queue.filter((one) => one !== victim);
      return victim;
    },
    next: (except) => {
      const allowed = queue.filter(({ network }) => network !== except);
      if (allowed.length === 0) return undefined;
      const chosen = allowed.reduce((best, one) => (sooner(one, best) < 0 ? one : best));
      queue = queue.filter((one) => one !== chosen);
      had(chosen.network);
      had(nameOf(chosen));
      return chosen;
    },
    remove: (asking) => {
      queue = queue.filter((one) => one !== asking);
    },
    get size() {
      return queue.length;
    },
  };
}

/** All of the network that has most. */
function mostCrowded<T extends Asking>(queue: readonly T[]): T[] {
  const crowds = Map.groupBy(queue, ({ network }) => network).values();
  return [...crowds].reduce((most, crowd) => (crowd.length > most.length ? crowd : most));
}

/** The address of a client, as far as one client has one: an IPv6 client has 2^64 of them. */
export function networkOf(address: string | undefined): string {
  if (address === undefined) return '';
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (isIPv4(plain) || !isIPv6(plain)) return plain;
  const [head, tail] = plain.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? 0 : tail.split(':').length;
    while (groups.length < 8 - after) groups.push('0');
    if (tail !== '') groups.push(...tail.split(':'));
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}
