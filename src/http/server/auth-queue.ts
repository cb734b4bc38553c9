/**
 * Whose password is looked at next, while there are more than can be. Fair to addresses first, so that a flood from one
 * delays another by one password at most; on an address, to connections on which nobody has failed yet, then to names.
 * Only what was asked for counts, never whether a user exists: the order must not tell. So a first login cannot be told
 * from a guess at a new name on the same address, and waits for those that came before it.
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

/** So many addresses and names are remembered that had a turn. */
const MAX_NETWORKS = 1024;
/** Few, because new names go first: guesses at ever new ones would keep a name waiting while it is remembered. */
const MAX_NAMES = 64;

export function createFairQueue<T extends Asking>({ total, perNetwork }: QueueLimits): FairQueue<T> {
  /** In the order of arrival. */
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

/** When each had its last turn; 0 where that is not remembered. */
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
