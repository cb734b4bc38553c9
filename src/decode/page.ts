/**
 * Checks the header of a sub-buffer ("page") of the kernel's ring buffer, and walks its events. Layout:
 * include/linux/ring_buffer.h (struct ring_buffer_event), kernel/trace/ring_buffer.c (RB_MISSED_EVENTS, rb_fix_abs_ts).
 *
 * An event starts with a 32-bit header: type_len in the low 5 bits, time delta in the high 27.
 *   1…28  data of 4 × type_len bytes after the header
 *   0     data; the next word is its length, which includes the 4 bytes of this word
 *   29    padding: delta 0 ends the page; otherwise a discarded event, with its length in the next word
 *   30    time extend: delta + next word × 2^27
 *   31    absolute timestamp of 59 bits: delta + next word × 2^27
 */
import type { PageLayout } from '../model/format.ts';
import { type TimestampNs, TWO_POW_32 } from '../model/time.ts';

export const PADDING = 29;
export const TIME_EXTEND = 30;
export const TIME_STAMP = 31;
/** Factor of the second word of a time extend or an absolute timestamp. */
export const TWO_POW_27 = 134217728;
const TWO_POW_59 = 2 ** 59;

const COMMIT_LENGTH = 0x07ffffff;
const MISSED_EVENTS = 1 << 31;
const MISSED_STORED = 1 << 30;

/** Reasons why the decoder drops a page or a part of it, an event, or a line of text. */
export const PAGE_ERRORS = [
  'short_page',
  'bad_commit',
  'zero_length_event',
  'event_past_end',
  'short_event',
  'implausible_time',
  'text_line',
  'handler_failed',
] as const;
export type PageError = (typeof PAGE_ERRORS)[number];

/** A page and its parsed header. Pages are reused. */
export interface Page {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Int32Array<ArrayBuffer>;
  /** Byte offset after the last event; `PageLayout.dataOffset` if the page is empty. */
  end: number;
  /** Timestamp in the page's header. The time delta of the page's first event is relative to this time. */
  timestampNs: TimestampNs;
  /** Whether events were lost before the page's first event. */
  lost: boolean;
  /** Number of lost events; 0 if the kernel did not store a number. */
  lostCount: number;
}

export function makePage(layout: PageLayout): Page {
  // One extra word: a read after the last event stays in bounds.
  const buffer = new ArrayBuffer(((layout.pageSize + 3) & ~3) + 4);
  const bytes = new Uint8Array(buffer, 0, layout.pageSize);
  return { bytes, words: new Int32Array(buffer), end: 0, timestampNs: 0, lost: false, lostCount: 0 };
}

/** Parses the header of a page with `length` valid bytes. Returns the error, if any. */
export function loadPage(page: Page, layout: PageLayout, length: number): PageError | undefined {
  page.end = layout.dataOffset;
  page.lost = false;
  page.lostCount = 0;
  if (length < layout.dataOffset || length > page.bytes.length) return 'short_page';
  const { words } = page;
  const at = layout.timestampOffset >> 2;
  page.timestampNs = (words[at] >>> 0) + (words[at + 1] >>> 0) * TWO_POW_32;
  const commit = words[layout.commitOffset >> 2];
  const dataLength = commit & COMMIT_LENGTH;
  const end = layout.dataOffset + dataLength;
  // Set this even if the length is invalid, so that probes drop operations that began before the loss.
  page.lost = (commit & MISSED_EVENTS) !== 0;
  if (end > length || (dataLength & 3) !== 0) return 'bad_commit';
  // The kernel writes a timestamp even into an empty page. A page of zeros is a hole in a sparse file.
  if (commit === 0 && page.timestampNs === 0) return 'bad_commit';
  page.end = end;
  if (page.lost && (commit & MISSED_STORED) !== 0 && end + layout.commitSize <= length) {
    page.lostCount = words[end >> 2] >>> 0;
    if (layout.commitSize === 8) page.lostCount += (words[(end >> 2) + 1] >>> 0) * TWO_POW_32;
  }
  return undefined;
}

/** Completes an absolute timestamp, of which the ring buffer stores only 59 bits. `before`: the previous timestamp. */
export function absoluteStamp(low27: number, word: number, before: TimestampNs): TimestampNs {
  const stamp = low27 + (word >>> 0) * TWO_POW_27;
  if (before < TWO_POW_59) return stamp;
  const whole = stamp + Math.floor(before / TWO_POW_59) * TWO_POW_59;
  return whole < before ? whole + TWO_POW_59 : whole;
}

/** Counts the data events of a loaded page from byte offset `from` on. */
export function countEvents({ words, end }: Page, from: number): number {
  let count = 0;
  for (let pos = from; pos < end; ) {
    const header = words[pos >> 2];
    const type = header & 31;
    if (type >= 1 && type <= 28) {
      count++;
      pos += 4 + (type << 2);
    } else if (type === TIME_EXTEND || type === TIME_STAMP) {
      pos += 8;
    } else {
      if ((type === PADDING && header >>> 5 === 0) || pos + 8 > end) break;
      const length = words[(pos >> 2) + 1] >>> 0;
      if (length < 4 || length > end - pos - 4) break;
      if (type === 0) count++;
      pos += 4 + ((length + 3) & ~3);
    }
  }
  return count;
}

/** Returns the timestamp of a page's last event, or that of its header if the page has no events. */
export function lastStamp(page: Page, layout: PageLayout): TimestampNs {
  const { words, end } = page;
  let ts = page.timestampNs;
  let pos = layout.dataOffset;
  while (pos < end) {
    const header = words[pos >> 2];
    const type = header & 31;
    const delta = header >>> 5;
    if (type >= 1 && type <= 28) {
      ts += delta;
      pos += 4 + (type << 2);
      continue;
    }
    if (pos + 8 > end) break;
    const word = words[(pos >> 2) + 1];
    if (type === TIME_EXTEND) {
      ts += delta + (word >>> 0) * TWO_POW_27;
      pos += 8;
    } else if (type === TIME_STAMP) {
      ts = absoluteStamp(delta, word, ts);
      pos += 8;
    } else {
      if (type === PADDING && delta === 0) break;
      const length = word >>> 0;
      if (length < 4 || length > end - pos - 4) break;
      ts += delta;
      pos += 4 + ((length + 3) & ~3);
    }
  }
  return ts;
}
