/** Limits the number of connections, so that RLIMIT_NOFILE leaves file descriptors for the capture. */
import { readdirSync, readFileSync } from 'node:fs';

/** Descriptors that are reserved for files, and for accepting a connection before another is closed. */
const RESERVE = 16;

/** Returns `wanted`, or fewer connections if RLIMIT_NOFILE does not leave enough descriptors, but at least 1. */
export function connectionCeiling(wanted: number): number {
  const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  if (limit === undefined) return wanted;
  return affordable(wanted, Number(limit), readdirSync('/proc/self/fd').length);
}

export function affordable(wanted: number, limit: number, open: number): number {
  return Math.max(1, Math.min(wanted, limit - open - RESERVE));
}
