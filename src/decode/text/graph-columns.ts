/**
 * Parses the columns at the beginning of function_graph's lines (see graph-lines.ts). Each function parses the column
 * at `from` and returns the position after it.
 */
import { PROC_COLUMNS } from './graph-text.ts';
import { type LinePrefix, parseFlags } from './prefix.ts';

const MOST_FLAGS = 8;

const SPACE = 0x20;
const CLOSE = 0x29;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const BAR = 0x7c;

/** The functions write time, CPU, task and flags to `prefix`, and the duration (-1: none) to `durationNs[0]`. */
export function makeGraphColumns(prefix: LinePrefix, cpuCount: number, durationNs: Float64Array) {
  /** Position in the current column. */
  let at = 0;

  /** Moves `at` past the digits. Returns the number, or -1 if there are no digits. */
  const number = (bytes: Uint8Array, end: number): number => {
    const first = at;
    let value = 0;
    for (let digit = bytes[at] - ZERO; at < end && digit >= 0 && digit <= 9; digit = bytes[++at] - ZERO) {
      value = value * 10 + digit;
    }
    return at === first ? -1 : value;
  };
  const spaces = (bytes: Uint8Array, end: number): void => {
    while (at < end && bytes[at] === SPACE) at++;
  };

  /** Parses `TIME |  CPU) ` or ` CPU) `. Returns -1 if the line is not from this tracer. */
  const front = (bytes: Uint8Array, from: number, end: number): number => {
    at = from;
    spaces(bytes, end);
    let value = number(bytes, end);
    if (value < 0) return -1;
    prefix.timestampNs = 0;
    if (bytes[at] === DOT) {
      at++;
      const micros = number(bytes, end);
      if (micros < 0) return -1;
      prefix.timestampNs = value * 1e9 + micros * 1000;
      spaces(bytes, end);
      if (bytes[at++] !== BAR) return -1;
      spaces(bytes, end);
      value = number(bytes, end);
    }
    if (value < 0 || value >= cpuCount || bytes[at] !== CLOSE || bytes[at + 1] !== SPACE) return -1;
    at += 2;
    prefix.cpu = value;
    prefix.pid = 0;
    prefix.flags = 0;
    prefix.preemptCount = 0;
    return at;
  };

  /** Parses the column `task-pid | ` if present. */
  const task = (bytes: Uint8Array, from: number, end: number): number => {
    const width = bytes[from + PROC_COLUMNS + 1] === BAR ? PROC_COLUMNS : PROC_COLUMNS + 1;
    const behind = from + width;
    if (behind + 3 > end || bytes[behind + 1] !== BAR || bytes[behind] !== SPACE) return from;
    let last = behind - 1;
    while (last > from && bytes[last] === SPACE) last--;
    let pid = 0;
    let weight = 1;
    let pos = last;
    for (let digit = bytes[pos] - ZERO; pos > from && digit >= 0 && digit <= 9; digit = bytes[--pos] - ZERO) {
      pid += digit * weight;
      weight *= 10;
    }
    if (pos === last || bytes[pos] !== MINUS) return from;
    prefix.pid = pid;
    return behind + 3;
  };

  /** Parses the column ` d..1. | ` if present. */
  const flags = (bytes: Uint8Array, from: number, end: number): number => {
    if (bytes[from] !== SPACE || bytes[from + 1] === SPACE) return from;
    let stop = from + 1;
    while (stop < end && bytes[stop] !== SPACE) if (++stop - from > MOST_FLAGS + 1) return from;
    if (bytes[stop + 1] !== BAR || bytes[stop + 2] !== SPACE) return from;
    parseFlags(bytes, from + 1, stop - from - 1, prefix);
    return stop + 3;
  };

  /** Parses the column `! 123.456 us |  `, which can be blank. Returns -1 if it is missing. */
  const duration = (bytes: Uint8Array, from: number, end: number): number => {
    durationNs[0] = -1;
    at = from + 2;
    if (bytes[at] >= ZERO && bytes[at] <= 0x39) {
      let value = number(bytes, end) * 1000;
      if (bytes[at] === DOT) {
        at++;
        let weight = 100;
        for (let digit = bytes[at] - ZERO; at < end && digit >= 0 && digit <= 9; digit = bytes[++at] - ZERO) {
          value += digit * weight;
          weight /= 10;
        }
      }
      if (bytes[at] !== SPACE || bytes[at + 1] !== 0x75 || bytes[at + 2] !== 0x73) return -1;
      at += 3;
      durationNs[0] = Math.round(value);
    }
    spaces(bytes, end);
    if (at + 3 > end || bytes[at] !== BAR) return -1;
    return at + 3;
  };

  return { front, task, flags, duration };
}
