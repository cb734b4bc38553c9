/** Limits connections so that file descriptors remain for the capture (RLIMIT_NOFILE). */
import { readdirSync, readFileSync } from 'node:fs';

/** Reserved for files that the agent opens later, and for a connection that is accepted before another is closed. */
const RESERVE = 16;

/** Returns `wanted`, or fewer if RLIMIT_NOFILE does not allow that many in addition to the open files; at least 1. */
export function connectionCeiling(wanted: number): number {
  const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  if (limit === undefined) return wanted;
  return affordable(wanted, Number(limit), readdirSync('/proc/self/fd').length);
}

export function affordable(wanted: number, limit: number, open: number): number {
  return Math.max(1, Math.min(wanted, limit - open - RESERVE));
}
