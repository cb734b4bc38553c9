import type { TimestampNs } from './time.ts';

/**
 * One event as the decoder hands it to handlers: a window on the page it lies in, valid only during the call.
 * There is one such object a stream; it is overwritten for every event, so that nothing is allocated.
 */
export interface EventRecord {
  /** The page as little-endian 32-bit words. */
  words: Int32Array;
  /** The same page as bytes. */
  bytes: Uint8Array;
  /** Byte offset in the page of the event's payload (of its `common_type`); a multiple of 4. */
  offset: number;
  /** Payload length in bytes, as the ring buffer states it; the payload lies wholly inside the page. */
  length: number;
  /** Logical CPU whose buffer the event was recorded in. */
  cpu: number;
  timestampNs: TimestampNs;
}

export type EventHandler = (record: EventRecord) => void;

/** Reads one integer field. 64-bit values come as doubles (exact to 2^53). */
export type IntReader = (record: EventRecord) => number;

/**
 * Locates a string or array field. `start` gives the byte offset in the page, `end` the offset behind its last
 * byte (behind the NUL-free part for strings); both are clamped to the payload, whatever the record says.
 */
export interface BytesReader {
  start(record: EventRecord): number;
  end(record: EventRecord): number;
}
