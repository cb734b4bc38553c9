/**
 * Hash table of started operations, whose keys consist of 32-bit words. Entries with the same hash form a chain, newest
 * first. A full table evicts the older half of its entries.
 */
import type { TimestampNs } from '../../model/time.ts';

/** Means "no entry". Its stamp is always 0. */
export const NONE = 0;

export class PairTable {
  /** By entry: start time; 0 if the entry is free. The caller writes the time after `add`. */
  readonly stamps: Float64Array;
  /** By entry: a number and a tag. The caller writes them after `add`. */
  readonly values: Float64Array;
  readonly tags: Int32Array;
  /** The caller writes the key before it calls `find`. */
  readonly key: Int32Array;
  readonly #keys: Int32Array;
  readonly #next: Int32Array;
  readonly #heads: Int32Array;
  readonly #buckets: Int32Array;
  readonly #width: number;
  readonly #capacity: number;
  /** 32 minus the number of bits in a bucket index. */
  readonly #shift: number;
  readonly #onEvicted: (count: number) => void;
  /** Bucket of the key that `find` last searched for. */
  #bucket = 0;
  #free = 1;
  #size = 0;

  /** `width`: words per key. `capacity`: a power of two. `onEvicted` gets the number of evicted entries. */
  constructor(width: number, capacity: number, onEvicted: (count: number) => void) {
    this.#width = width;
    this.#capacity = capacity;
    this.#shift = Math.clz32(capacity) + 1;
    this.#onEvicted = onEvicted;
    this.key = new Int32Array(width);
    this.stamps = new Float64Array(capacity + 1);
    this.values = new Float64Array(capacity + 1);
    this.tags = new Int32Array(capacity + 1);
    this.#keys = new Int32Array((capacity + 1) * width);
    this.#next = Int32Array.from({ length: capacity + 1 }, (_, i) => (i < capacity ? i + 1 : NONE));
    this.#heads = new Int32Array(capacity);
    this.#buckets = new Int32Array(capacity + 1);
  }

  get size(): number {
    return this.#size;
  }

  /** Returns the newest entry with `key`, or `NONE`. */
  find(): number {
    this.#bucket = this.#bucketOf();
    let entry = this.#heads[this.#bucket];
    while (entry !== NONE && !this.#isKey(entry)) entry = this.#next[entry];
    return entry;
  }

  /** Adds an entry with `key`. The caller must call `find` with this key first, because `add` uses its hash. */
  add(): number {
    if (this.#size === this.#capacity) this.#evict();
    const entry = this.#free;
    this.#free = this.#next[entry];
    const at = entry * this.#width;
    for (let i = 0; i < this.#width; i++) this.#keys[at + i] = this.key[i];
    const bucket = this.#bucket;
    this.#buckets[entry] = bucket;
    this.#next[entry] = this.#heads[bucket];
    this.#heads[bucket] = entry;
    this.#size++;
    return entry;
  }

  remove(entry: number): void {
    const bucket = this.#buckets[entry];
    if (this.#heads[bucket] === entry) this.#heads[bucket] = this.#next[entry];
    else {
      let before = this.#heads[bucket];
      while (this.#next[before] !== entry) before = this.#next[before];
      this.#next[before] = this.#next[entry];
    }
    this.stamps[entry] = 0;
    this.#next[entry] = this.#free;
    this.#free = entry;
    this.#size--;
  }

  /** Removes entries that began before this time. Returns their number. */
  removeBefore(untilNs: TimestampNs): number {
    let count = 0;
    for (let entry = 1; entry <= this.#capacity; entry++) {
      if (this.stamps[entry] === 0 || this.stamps[entry] >= untilNs) continue;
      this.remove(entry);
      count++;
    }
    return count;
  }

  #evict(): void {
    const middle = Float64Array.from(this.stamps.subarray(1)).sort()[this.#capacity >> 1];
    // No entry is older than the median if all have the same time.
    this.#onEvicted(this.removeBefore(middle) || this.removeBefore(Number.POSITIVE_INFINITY));
  }

  #isKey(entry: number): boolean {
    const at = entry * this.#width;
    for (let i = 0; i < this.#width; i++) if (this.#keys[at + i] !== this.key[i]) return false;
    return true;
  }

  #bucketOf(): number {
    let hash = 0;
    for (let i = 0; i < this.#width; i++) hash = Math.imul(hash ^ this.key[i], 0x9e3779b1) ^ (hash >>> 15);
    return Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> this.#shift;
  }
}
