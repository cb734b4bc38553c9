import type { TimestampNs } from './time.ts';

/**
 * One event as the decoder passes it to handlers: a view of its page, valid only during the call. There is one such
 * object per stream, overwritten for every event, so that nothing is allocated.
 */
export interface EventRecord {
  /** The page as little-endian 32-bit words. */
  words: Int32Array;
  /** The same page as bytes. */
  bytes: Uint8Array;
  /** Byte offset in the page of the event's payload (of its `common_type`); a multiple of 4. */
  offset: number;
  /** Payload length in bytes, from the ring buffer. The payload is entirely inside the page. */
  length: number;
  /** Logical CPU whose buffer recorded the event. */
  cpu: number;
  timestampNs: TimestampNs;
}

export type EventHandler = (record: EventRecord) => void;

/** Reads one integer field. 64-bit values become doubles (exact to 2^53). */
export type IntReader = (record: EventRecord) => number;

/**
 * Locates a string or array field. `start` is its byte offset in the page, `end` the offset after its last byte (for
 * strings: before the first NUL). Both are clamped to the payload, whatever the record says.
 */
export interface BytesReader {
  start(record: EventRecord): number;
  end(record: EventRecord): number;
}
