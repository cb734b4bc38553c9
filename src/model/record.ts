import type { DurationNs, TimestampNs } from './time.ts';

/**
 * One event as the decoder passes it to handlers: a view of a page, valid only during the call. Each stream has one
 * such object and overwrites it for every event, so nothing is allocated.
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
   * false or is absent, the handler is called. V8 must inline it into the loop over events (`decode/run.ts`), so it
   * calls only small functions, and returns false in rare cases instead of calling a function.
   */
  usual?: UsualForm;
  /** Fast path for two records that follow each other. Only one handler of a plan can have it. */
  pair?: UsualPair;
}

/**
 * Handles a record that is passed as plain arguments: the page's words, and the index `at` of the payload's first word.
 * Passing an `EventRecord` instead would mean writing and reading its fields for every event.
 */
export type UsualForm = (words: Int32Array, at: number, timestampNs: TimestampNs, cpu: number) => boolean;

/** Handles the start of an operation together with its end, which is the next record of the page. */
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
 * Locates a string or array field. `start` is the byte offset of the field in the page. `end` is the offset after its
 * last byte; for a string, the offset of the first NUL. Both are clamped to the payload, even if the record is corrupt.
 */
export interface BytesReader {
  start(record: EventRecord): number;
  end(record: EventRecord): number;
}
