/**
 * Parses the prefix of an event's line: task, CPU, flags and timestamp. Source: kernel/trace/trace_output.c,
 * trace_print_context() and trace_print_lat_fmt().
 *
 *     %16s-%-7d [(%7d)] [%03d] flags %5lu.%06lu: text
 *
 * A task's name has at most 15 bytes, so the `-` is always in column 16, even if the name looks like a prefix. The
 * kernel prints 4 flag characters (5 since about 5.15, 7 on real-time kernels up to 6.6), or none without the option
 * `irq-info`.
 */
import type { TimestampNs } from '../../model/time.ts';

export interface LinePrefix {
  pid: number;
  cpu: number;
  /** As in `common_flags`. */
  flags: number;
  /** As in `common_preempt_count`, but only the bits in the text. */
  preemptCount: number;
  /** Rounded to microseconds by the kernel. A count, not a time, if `isPlainStamp` is set. */
  timestampNs: TimestampNs;
  /** Whether the timestamp is a count, because the trace clock does not measure time. */
  isPlainStamp: boolean;
}

export function newPrefix(): LinePrefix {
  return { pid: 0, cpu: 0, flags: 0, preemptCount: 0, timestampNs: 0, isPlainStamp: false };
}

const NAME_COLUMNS = 16;
/** Minimum length of a prefix in bytes. */
export const SHORTEST_PREFIX = 30;
const MOST_FLAGS = 8;
/** Maximum digits of a pid or CPU number. */
const MOST_DIGITS = 9;
const MOST_SECOND_DIGITS = 15;

const SPACE = 0x20;
/** Width of the pid's column (`%-7d`). */
const PID_COLUMNS = 7;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;

// include/linux/trace_events.h
const IRQS_OFF = 0x01;
const NEED_RESCHED_LAZY = 0x02;
const NEED_RESCHED = 0x04;
const HARDIRQ = 0x08;
const SOFTIRQ = 0x10;
const PREEMPT_RESCHED = 0x20;
const NMI = 0x40;
const BH_OFF = 0x80;

const byLetter = (pairs: Readonly<Record<string, number>>): Uint8Array => {
  const flags = new Uint8Array(256);
  for (const [letter, value] of Object.entries(pairs)) flags[letter.charCodeAt(0)] = value;
  return flags;
};
const IRQ_LETTERS = byLetter({ d: IRQS_OFF, D: IRQS_OFF | BH_OFF, b: BH_OFF });
const RESCHED_LETTERS = byLetter({
  N: NEED_RESCHED | PREEMPT_RESCHED,
  n: NEED_RESCHED,
  p: PREEMPT_RESCHED,
  B: NEED_RESCHED | NEED_RESCHED_LAZY | PREEMPT_RESCHED,
  b: NEED_RESCHED | NEED_RESCHED_LAZY,
  L: NEED_RESCHED_LAZY | PREEMPT_RESCHED,
  l: NEED_RESCHED_LAZY,
});
const CONTEXT_LETTERS = byLetter({
  Z: NMI | HARDIRQ,
  z: NMI,
  H: HARDIRQ | SOFTIRQ,
  h: HARDIRQ,
  s: SOFTIRQ,
});

/** Parses the prefix at `from`. Returns the position after it, or -1 if there is no prefix. */
export function parsePrefix(bytes: Uint8Array, from: number, end: number, into: LinePrefix): number {
  if (from + SHORTEST_PREFIX > end || bytes[from + NAME_COLUMNS] !== MINUS) return -1;
  let pos = from + NAME_COLUMNS + 1;
  let first = pos;
  let value = 0;
  let digit = bytes[pos] - ZERO;
  for (; digit >= 0 && digit <= 9 && pos < end; digit = bytes[++pos] - ZERO) value = value * 10 + digit;
  if (pos === first || pos - first > MOST_DIGITS) return -1;
  into.pid = value;

  while (pos < end && bytes[pos] === SPACE) pos++;
  // Skip the thread group ID of the option record-tgid.
  if (bytes[pos] === 0x28) {
    while (pos < end && bytes[pos] !== 0x29) if (++pos - first > 2 * NAME_COLUMNS) return -1;
    pos += 2;
  }
  if (bytes[pos] !== 0x5b) return -1;
  first = ++pos;
  value = 0;
  digit = bytes[pos] - ZERO;
  for (; digit >= 0 && digit <= 9 && pos < end; digit = bytes[++pos] - ZERO) value = value * 10 + digit;
  if (pos === first || pos - first > MOST_DIGITS || bytes[pos] !== 0x5d || bytes[pos + 1] !== SPACE) {
    return -1;
  }
  into.cpu = value;
  pos += 2;

  first = pos;
  while (pos < end && bytes[pos] !== SPACE) if (++pos - first > MOST_FLAGS) return -1;
  if (pos > first) parseFlags(bytes, first, pos - first, into);
  else into.flags = into.preemptCount = 0;
  return parseStamp(bytes, pos, end, into);
}

/**
 * Whether the line at `from` begins like `…task-PID     [CPU] F`, where F is the first flag. A task name (at most 15
 * bytes) is too short to imitate this.
 */
export function isLikePrefix(bytes: Uint8Array, from: number, end: number): boolean {
  if (bytes[from] !== SPACE || bytes[from + NAME_COLUMNS] !== MINUS) return false;
  const first = from + NAME_COLUMNS + 1;
  let pos = first;
  while (pos < end && bytes[pos] >= ZERO && bytes[pos] <= 0x39) pos++;
  if (pos === first) return false;
  const digits = pos - first;
  while (pos < end && bytes[pos] === SPACE) pos++;
  if (pos - first !== Math.max(digits, PID_COLUMNS) + 1) return false;
  if (bytes[pos] === 0x28) return true;
  if (bytes[pos] !== 0x5b) return false;
  for (pos++; pos < end && bytes[pos] >= ZERO && bytes[pos] <= 0x39; ) pos++;
  // If a dash follows `[CPU] `, the text before the dash is a task name.
  return pos + 2 >= end || (bytes[pos] === 0x5d && bytes[pos + 1] === SPACE && bytes[pos + 2] !== MINUS);
}

/** Parses ` %5lu.%06lu: `, or the count ` %12llu: `. Returns the position after it, or -1. */
function parseStamp(bytes: Uint8Array, from: number, end: number, into: LinePrefix): number {
  let pos = from;
  while (pos < end && bytes[pos] === SPACE) pos++;
  let first = pos;
  let seconds = 0;
  let digit = bytes[pos] - ZERO;
  for (; digit >= 0 && digit <= 9 && pos < end; digit = bytes[++pos] - ZERO) seconds = seconds * 10 + digit;
  if (pos === first) return -1;
  if (bytes[pos] !== DOT) {
    into.timestampNs = seconds;
    into.isPlainStamp = true;
  } else {
    if (pos - first > MOST_SECOND_DIGITS) return -1;
    first = ++pos;
    let fraction = 0;
    digit = bytes[pos] - ZERO;
    for (; digit >= 0 && digit <= 9 && pos < end; digit = bytes[++pos] - ZERO)
      fraction = fraction * 10 + digit;
    if (pos - first !== 6) return -1;
    into.timestampNs = seconds * 1e9 + fraction * 1000;
    into.isPlainStamp = false;
  }
  if (pos + 2 > end || bytes[pos] !== COLON || bytes[pos + 1] !== SPACE) return -1;
  return pos + 2;
}

/**
 * Parses irqs-off, need-resched, hardirq/softirq, preempt-depth and (since about 5.15) migrate-disable. Real-time
 * kernels up to 6.6 add need-resched-lazy after need-resched, and preempt-lazy-depth after preempt-depth.
 */
export function parseFlags(bytes: Uint8Array, from: number, length: number, into: LinePrefix): void {
  const isRealtime = length > 5;
  const context = from + (isRealtime ? 3 : 2);
  const depth = bytes[context + 1];
  const migrate = length < 5 ? 0 : bytes[from + length - 1];
  into.flags = IRQ_LETTERS[bytes[from]] | RESCHED_LETTERS[bytes[from + 1]] | CONTEXT_LETTERS[bytes[context]];
  into.preemptCount = digitOrZero(depth) | (isRealtime ? 0 : digitOrZero(migrate) << 4);
}

function digitOrZero(byte: number): number {
  if (byte >= ZERO && byte <= 0x39) return byte - ZERO;
  const letter = (byte | 0x20) - 0x61;
  return letter >= 0 && letter <= 5 ? letter + 10 : 0;
}
