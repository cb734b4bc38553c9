/**
 * Parses lines about lost events. Source: kernel/trace/trace.c, print_trace_line() (LOST EVENTS) and
 * test_cpu_buff_start().
 */
import { parseDecimal, parsedNumber } from './numbers.ts';
import { startsWith } from './search.ts';

const LOST = Buffer.from('CPU:');
const LOST_OPEN = Buffer.from(' [LOST ');
const LOST_CLOSE = Buffer.from('EVENTS]\n');
const STARTED = Buffer.from('##### CPU ');
const STARTED_REST = Buffer.from(' buffer started ####\n');
const SPACE = 0x20;

export interface SideLine {
  cpu: number;
  /** Number of lost events; 0 if unknown. */
  lost: number;
}

/**
 * Parses `CPU:%d [LOST %lu EVENTS]`, `CPU:%d [LOST EVENTS]`, or `##### CPU %u buffer started ####`: earlier events of
 * the CPU are lost. Returns where the next line begins, or -1 for other lines.
 */
export function parseLoss(bytes: Uint8Array, from: number, end: number, into: SideLine): number {
  const isStart = bytes[from] === 0x23;
  if (!startsWith(bytes, from, end, isStart ? STARTED : LOST)) return -1;
  let pos = parseDecimal(bytes, from + (isStart ? STARTED.length : LOST.length), end);
  if (pos < 0) return -1;
  into.cpu = parsedNumber();
  into.lost = 0;
  if (isStart) return startsWith(bytes, pos, end, STARTED_REST) ? pos + STARTED_REST.length : -1;
  if (!startsWith(bytes, pos, end, LOST_OPEN)) return -1;
  pos += LOST_OPEN.length;
  const behind = parseDecimal(bytes, pos, end);
  if (behind >= 0) {
    into.lost = parsedNumber();
    if (bytes[behind] !== SPACE) return -1;
    pos = behind + 1;
  }
  return startsWith(bytes, pos, end, LOST_CLOSE) ? pos + LOST_CLOSE.length : -1;
}
