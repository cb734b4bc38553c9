/** Limits the number of connections, so that RLIMIT_NOFILE leaves file descriptors for the capture. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Descriptors that are reserved for files that the agent opens later, and for a new connection that is accepted before
 * an old one is closed.
 */
const RESERVE = 16;

/**
 * Returns how many connections are allowed: `wanted`, or fewer if RLIMIT_NOFILE minus the descriptors in use is too
 * low, but at least 1.
 */
export function connectionCeiling(wanted: number): number {
  const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  if (limit === undefined) return wanted;
  return affordable(wanted, Number(limit), readdirSync('/proc/self/fd').length);
}

export function affordable(wanted: number, limit: number, open: number): number {
  return Math.max(1, Math.min(wanted, limit - open - RESERVE));
}
