/**
 * Hash table of block requests that are in the queue or at the device. The key is the device, the sector and the
 * operation. Entries with the same hash form a chain, oldest first.
 */
import type { TimestampNs } from '../../model/time.ts';

const NONE = -1;
export const QUEUED = 1;
export const ISSUED = 2;
export type RequestState = typeof QUEUED | typeof ISSUED;

export class RequestTable {
  readonly #capacity: number;
  readonly #mask: number;
  readonly #heads: Int32Array;
  readonly #tails: Int32Array;
  /** Next entry in the chain, or in the list of free entries. */
  readonly #next: Int32Array;
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  readonly #dev: Int32Array;
  readonly #low: Int32Array;
  readonly #high: Int32Array;
  readonly #operation: Uint8Array;
  readonly #state: Uint8Array;
  /** By entry: time at which the request got its current state. */
  readonly #since: Float64Array;
  /** By entry: sectors that are not completed yet; 0 if unknown. */
  readonly #sectors: Float64Array;
  /** By entry: time at which the request was first queued; 0 if never. */
  readonly #inserted: Float64Array;
  readonly #issueCpus: Int32Array;
  readonly #issuers: Int32Array;
  /** By entry: pid of the task that queued the request; if it was never queued, of the task that issued it. */
  readonly #pids: Int32Array;
  /** By entry: slot (number of a container) of the task in `#pids`. */
  readonly #containers: Uint8Array;
  /** By entry: number of sectors when the request was issued. */
  readonly #asked: Float64Array;
  /** By entry: 1 after the driver put the request back. The next insert event is then not about a new request. */
  readonly #requeued: Uint8Array;
  #free = 0;
  #oldest = NONE;
  #newest = NONE;
  #size = 0;

  /** `capacity` must be a power of two. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#mask = capacity - 1;
    this.#heads = new Int32Array(capacity).fill(NONE);
    this.#tails = new Int32Array(capacity).fill(NONE);
    this.#next = Int32Array.from({ length: capacity }, (_, i) => (i + 1 < capacity ? i + 1 : NONE));
    this.#older = new Int32Array(capacity);
    this.#newer = new Int32Array(capacity);
    this.#dev = new Int32Array(capacity);
    this.#low = new Int32Array(capacity);
    this.#high = new Int32Array(capacity);
    this.#operation = new Uint8Array(capacity);
    this.#state = new Uint8Array(capacity);
    this.#since = new Float64Array(capacity);
    this.#sectors = new Float64Array(capacity);
    this.#requeued = new Uint8Array(capacity);
    this.#inserted = new Float64Array(capacity);
    this.#issueCpus = new Int32Array(capacity);
    this.#issuers = new Int32Array(capacity);
    this.#pids = new Int32Array(capacity);
    this.#asked = new Float64Array(capacity);
    this.#containers = new Uint8Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  get full(): boolean {
    return this.#size === this.#capacity;
  }

  /** The oldest entry; -1 if the table is empty. */
  get oldest(): number {
    return this.#oldest;
  }

  /** Returns the entry that was added next after `entry`; -1 if `entry` is the newest. */
  newerThan(entry: number): number {
    return this.#newer[entry];
  }

  state(entry: number): number {
    return this.#state[entry];
  }

  since(entry: number): TimestampNs {
    return this.#since[entry];
  }

  sectors(entry: number): number {
    return this.#sectors[entry];
  }

  inserted(entry: number): TimestampNs {
    return this.#inserted[entry];
  }

  issueCpu(entry: number): number {
    return this.#issueCpus[entry];
  }

  issuer(entry: number): number {
    return this.#issuers[entry];
  }

  pid(entry: number): number {
    return this.#pids[entry];
  }

  container(entry: number): number {
    return this.#containers[entry];
  }

  setContainer(entry: number, slot: number): void {
    this.#containers[entry] = slot;
  }

  asked(entry: number): number {
    return this.#asked[entry];
  }

  requeued(entry: number): boolean {
    return this.#requeued[entry] === 1;
  }

  /** Returns the first entry with this key and state; -1 if there is none. `sector` is an integer up to 2^53. */
  find(dev: number, sector: number, operation: number, state: RequestState): number {
    const low = sector | 0;
    const high = (sector / 4294967296) | 0;
    let entry = this.#heads[this.#hash(dev, low, high, operation)];
    while (entry !== NONE) {
      if (
        this.#low[entry] === low &&
        this.#high[entry] === high &&
        this.#dev[entry] === dev &&
        this.#operation[entry] === operation &&
        this.#state[entry] === state
      ) {
        return entry;
      }
      entry = this.#next[entry];
    }
    return NONE;
  }

  /** Adds a request and returns its entry. The table must not be full. */
  add(
    dev: number,
    sector: number,
    operation: number,
    state: RequestState,
    since: TimestampNs,
    pid = 0,
  ): number {
    const entry = this.#free;
    this.#free = this.#next[entry];
    this.#dev[entry] = dev;
    this.#operation[entry] = operation;
    this.#sectors[entry] = 0;
    this.#asked[entry] = 0;
    this.#inserted[entry] = 0;
    this.#pids[entry] = pid;
    this.enter(entry, state, since, false);
    this.#chain(entry, sector);
    this.#older[entry] = this.#newest;
    this.#newer[entry] = NONE;
    if (this.#newest === NONE) this.#oldest = entry;
    else this.#newer[this.#newest] = entry;
    this.#newest = entry;
    this.#size++;
    return entry;
  }

  enter(entry: number, state: RequestState, since: TimestampNs, requeued: boolean): void {
    this.#state[entry] = state;
    this.#since[entry] = since;
    this.#requeued[entry] = requeued ? 1 : 0;
    if (state === QUEUED && this.#inserted[entry] === 0) this.#inserted[entry] = since;
  }

  clearRequeued(entry: number): void {
    this.#requeued[entry] = 0;
  }

  setSectors(entry: number, sectors: number): void {
    this.#sectors[entry] = sectors;
  }

  /**
   * Stores the facts of an issue event. `issuer` is the pid of the task that issued the request; 0 for an interrupt.
   */
  issue(entry: number, sectors: number, cpu: number, issuer = 0): void {
    this.#issuers[entry] = issuer;
    this.#sectors[entry] = sectors;
    this.#asked[entry] = sectors;
    this.#issueCpus[entry] = cpu;
  }

  /** Changes the sector of a request, because a part of it has completed. */
  move(entry: number, sector: number): void {
    this.#unchain(entry);
    this.#chain(entry, sector);
  }

  remove(entry: number): void {
    this.#unchain(entry);
    const older = this.#older[entry];
    const newer = this.#newer[entry];
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
    this.#next[entry] = this.#free;
    this.#free = entry;
    this.#size--;
  }

  #hash(dev: number, low: number, high: number, operation: number): number {
    let h = Math.imul(low, 0x9e3779b1) ^ Math.imul(high + operation, 0x85ebca6b) ^ Math.imul(dev, 0xc2b2ae35);
    h ^= h >>> 15;
    return (Math.imul(h, 0x2c1b3c6d) >>> 12) & this.#mask;
  }

  #bucketOf(entry: number): number {
    return this.#hash(this.#dev[entry], this.#low[entry], this.#high[entry], this.#operation[entry]);
  }

  #chain(entry: number, sector: number): void {
    this.#low[entry] = sector | 0;
    this.#high[entry] = (sector / 4294967296) | 0;
    const bucket = this.#bucketOf(entry);
    this.#next[entry] = NONE;
    if (this.#heads[bucket] === NONE) this.#heads[bucket] = entry;
    else this.#next[this.#tails[bucket]] = entry;
    this.#tails[bucket] = entry;
  }

  #unchain(entry: number): void {
    const bucket = this.#bucketOf(entry);
    let before = NONE;
    for (let at = this.#heads[bucket]; at !== entry; at = this.#next[at]) before = at;
    const after = this.#next[entry];
    if (before === NONE) this.#heads[bucket] = after;
    else this.#next[before] = after;
    if (after === NONE) this.#tails[bucket] = before;
  }
}
