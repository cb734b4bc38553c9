/**
 * Chooses which password is checked next, without revealing which users exist. Networks take turns. Within a network,
 * connections with fewer failures come first, then the user names whose last check was longest ago.
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface Asking {
  /** The client's network, as `networkOf` returns it. */
  network: string;
  user: string;
  /** Failed attempts on the same connection. */
  failures: number;
}

export interface FairQueue<T extends Asking> {
  /** Adds an item. If the queue is then too long, removes and returns an item. This can be the new item. */
  push(asking: T): T | undefined;
  /** Removes and returns the next item; undefined if there is none. Skips networks for which `rests` is true. */
  next(rests?: (network: string) => boolean): T | undefined;
  /** Removes an item whose client has disconnected. */
  remove(asking: T): void;
  readonly size: number;
}

export interface QueueLimits {
  total: number;
  perNetwork: number;
}

/** Number of networks whose last turn is remembered. */
const MAX_NETWORKS = 1024;
/**
 * Number of user names whose last turn is remembered. A name that is not remembered comes first. The limit is low, so
 * that a flood of guessed names soon replaces a real user's name, and this user comes first again.
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
      // Evict the item with the most failures, or the newest of several such items.
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

/** Numbers turns from 1. `last` returns the number of a key's last turn, or 0 if the key is forgotten. */
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

/** Returns an IPv4 address itself, or the /64 prefix of an IPv6 address. A network counts as one client. */
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
