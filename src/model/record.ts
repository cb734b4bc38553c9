import type { DurationNs, TimestampNs } from './time.ts';

/**
 * A view of one event in a page, valid only during the handler's call. The decoder reuses one object for all events.
 */
export interface EventRecord {
  /** The page as little-endian 32-bit words. */
  words: Int32Array;
  /** The same page as bytes. */
  bytes: Uint8Array;
  /** Byte offset of the event's payload (its `common_type`); a multiple of 4. */
  offset: number;
  /** Payload length in bytes. The whole payload lies inside the page. */
  length: number;
  cpu: number;
  timestampNs: TimestampNs;
}

export interface EventHandler {
  (record: EventRecord): void;
  /**
   * Fast path: handles the record and returns true, or does nothing and returns false. In this case, the decoder calls
   * the handler. V8 must inline the fast path into `decode/run.ts`, so the fast path must call only small functions.
   */
  usual?: UsualForm;
  /** The decoder uses only the first `pair` of all handlers. */
  pair?: UsualPair;
}

/**
 * Handles a record as plain arguments, which are faster than an `EventRecord`. `at`: index of the payload's first word.
 */
export type UsualForm = (words: Int32Array, at: number, timestampNs: TimestampNs, cpu: number) => boolean;

/**
 * Fast path for operations whose start and end are consecutive records. `at`, `endAt` and `model`: index of a payload's
 * first word. `model` is the start of an earlier operation, and only operations that `count` has counted lie between.
 */
export interface UsualPair {
  /** Handler of the end. */
  end: EventHandler;
  /** Returns the series slot in which to count the operation that starts at `at`; negative if the handlers must count it. */
  begin(words: Int32Array, at: number, timestampNs: TimestampNs, cpu: number): number;
  /** Whether the two records are one operation that `count` may count, and `begin` has returned its slot for `model`. */
  matches(words: Int32Array, at: number, endAt: number, model: number): boolean;
  /** Does what both handlers do and returns true, or does nothing and returns false. `ns`: time between the records. */
  count(slot: number, ns: DurationNs): boolean;
}

/** Reads one integer field; 64-bit values are exact to 2^53. */
export type IntReader = (record: EventRecord) => number;

/**
 * Locates the contents of a string or array field as byte offsets in the page. A string ends at its first NUL. Both
 * offsets lie inside the payload, even if the record is corrupt.
 */
export interface BytesReader {
  start(record: EventRecord): number;
  end(record: EventRecord): number;
}
