/**
 * Chooses which waiting password is checked next. Addresses take turns, so that a flood from one address delays another
 * address by at most one check. Within an address, connections with fewer failures come first, then the user names
 * whose last turn was longest ago. The order must not reveal whether a user exists, so a user's first login counts as a
 * guess, and waits for earlier guesses from the same address.
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface Asking {
  /** The address, as `networkOf` returns it. */
  network: string;
  user: string;
  /** Failed attempts on the same connection. */
  failures: number;
}

export interface FairQueue<T extends Asking> {
  /** Adds an item. If the queue is then too long, removes and returns an item, which can be the new one. */
  push(asking: T): T | undefined;
  /** Removes and returns the next item, or returns undefined. Skips networks that must wait (`rests`). */
  next(rests?: (network: string) => boolean): T | undefined;
  /** Removes an item whose client has disconnected. */
  remove(asking: T): void;
  readonly size: number;
}

export interface QueueLimits {
  total: number;
  perNetwork: number;
}

/** Number of addresses whose last turn is remembered. */
const MAX_NETWORKS = 1024;
/**
 * Number of user names whose last turn is remembered. New names go first, so a flood of guessed names delays a
 * remembered user. The number is small, so that the flood soon evicts the user's name, which then goes first again.
 */
const MAX_NAMES = 64;

export function createFairQueue<T extends Asking>({ total, perNetwork }: QueueLimits): FairQueue<T> {
  let queue: T[] = [];
  const networks = createTurns(MAX_NETWORKS);
  const names = createTurns(MAX_NAMES);
  const nameOf = ({ network, user }: T) => `${network} ${user}`;
  const sooner = (a: T, b: T) =>
    networks.last(a.network) - networks.last(b.network) ||
    a.failures - b.failures ||
    names.last(nameOf(a)) - names.last(nameOf(b));

  return {
    push: (asking) => {
      queue.push(asking);
      const neighbours = queue.filter(({ network }) => network === asking.network);
      const crowd =
        neighbours.length > perNetwork ? neighbours : queue.length > total ? mostCrowded(queue) : [];
      if (crowd.length === 0) return undefined;
      // Evicts the item with the most failures, and among equal items the newest, which has waited least.
      const victim = crowd.reduce((worst, one) => (one.failures >= worst.failures ? one : worst));
      queue = queue.filter((one) => one !== victim);
      return victim;
    },
    next: (rests = () => false) => {
      const allowed = queue.filter(({ network }) => !rests(network));
      if (allowed.length === 0) return undefined;
      const chosen = allowed.reduce((best, one) => (sooner(one, best) < 0 ? one : best));
      queue = queue.filter((one) => one !== chosen);
      networks.had(chosen.network);
      names.had(nameOf(chosen));
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

/** Remembers the last turn of each key. For a key that is not remembered, `last` returns 0. */
function createTurns(limit: number) {
  const turns = new Map<string, number>();
  let turn = 0;
  return {
    last: (key: string): number => turns.get(key) ?? 0,
    had: (key: string): void => {
      turns.delete(key);
      turns.set(key, ++turn);
      const [eldest] = turns.keys();
      if (turns.size > limit) turns.delete(eldest);
    },
  };
}

/** Returns the items of the network that has the most items in the queue. */
function mostCrowded<T extends Asking>(queue: readonly T[]): T[] {
  const crowds = Map.groupBy(queue, ({ network }) => network).values();
  return [...crowds].reduce((most, crowd) => (crowd.length > most.length ? crowd : most));
}

/** Returns the part of an address that identifies a client: only the first 64 bits of an IPv6 address. */
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
