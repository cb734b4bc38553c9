import type { DurationNs, TimestampNs } from './time.ts';

/**
 * One event as the decoder passes it to handlers: a view of a page, valid only during the call. The decoder reuses one
 * object for all events, so that decoding an event allocates no memory.
 */
export interface EventRecord {
  /** The page as little-endian 32-bit words. */
  words: Int32Array;
  /** The same page as bytes. */
  bytes: Uint8Array;
  /** Byte offset of the event's payload (its `common_type`) in the page; a multiple of 4. */
  offset: number;
  /** Payload length in bytes, from the ring buffer. The whole payload lies inside the page. */
  length: number;
  /** Logical CPU whose buffer recorded the event. */
  cpu: number;
  timestampNs: TimestampNs;
}

export interface EventHandler {
  (record: EventRecord): void;
  /**
   * Fast path for most records: handles the record and returns true, or does nothing and returns false. If it returns
   * false or is absent, the decoder calls the handler instead. V8 must inline the fast path into the loop over events
   * (`decode/run.ts`). The fast path therefore calls only small functions, and returns false in rare cases instead of
   * calling a function for them.
   */
  usual?: UsualForm;
  /**
   * Fast path for two records that follow each other in a page. If several handlers have a `pair`, the decoder uses
   * only the first.
   */
  pair?: UsualPair;
}

/**
 * Handles a record that is passed as plain arguments: the page's words, and the index `at` of the payload's first word.
 * Plain arguments are faster than an `EventRecord`, whose fields must be written and read for every event.
 */
export type UsualForm = (words: Int32Array, at: number, timestampNs: TimestampNs, cpu: number) => boolean;

/** Handles two consecutive records of a page: the start of an operation and its end. */
export interface UsualPair {
  /** Handler of the second record. */
  end: EventHandler;
  /** Does what the fast paths of both handlers do and returns true, or does nothing and returns false. */
  form: PairForm;
}

/** `at` and `endAt`: index of the first word of each payload. `ns`: time from the first record to the second. */
export type PairForm = (
  words: Int32Array,
  at: number,
  endAt: number,
  timestampNs: TimestampNs,
  ns: DurationNs,
  cpu: number,
) => boolean;

/** Reads one integer field. 64-bit values become doubles (exact to 2^53). */
export type IntReader = (record: EventRecord) => number;

/**
 * Locates the contents of a string or array field. `start` returns the offset of the first byte, in bytes from the
 * start of the page. `end` returns the offset after the last byte; for a string, the offset of the first NUL. Both
 * results lie inside the payload, even if the record is corrupt.
 */
export interface BytesReader {
  start(record: EventRecord): number;
  end(record: EventRecord): number;
}
