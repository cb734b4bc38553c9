/**
 * Chooses which syscalls to measure, and by which events. `raw_syscalls` fires for every syscall of every task; the
 * `syscalls:sys_enter_*` events of a few chosen syscalls cost a third.
 */
import { globMatcher } from '../../config/units/globs.ts';
import type { CommonOptions, HostFacts } from '../probe.ts';

export const RAW_ENTER = 'raw_syscalls:sys_enter';
export const RAW_EXIT = 'raw_syscalls:sys_exit';
/** Up to this many chosen syscalls are traced by their own events. */
const MOST_OWN_EVENTS = 16;
/** Label of numbers that are not in the table. */
export const UNKNOWN = 'unknown';

export interface SyscallOptions extends CommonOptions {
  /** Globs of syscall names; all if empty. */
  include: readonly string[];
  exclude: readonly string[];
}

export interface ChosenSyscall {
  id: number;
  name: string;
}

/** Matches the names that the config selects. */
export function syscallFilter(options: SyscallOptions): (name: string) => boolean {
  const included = options.include.length === 0 ? () => true : globMatcher(options.include);
  const excluded = globMatcher(options.exclude);
  return (name) => included(name) && !excluded(name);
}

/** Syscalls of the table that the config selects, by number. */
export function chosenSyscalls(options: SyscallOptions, host: HostFacts): ChosenSyscall[] {
  const isSelected = syscallFilter(options);
  const chosen: ChosenSyscall[] = [];
  for (const id of host.syscallIds()) {
    const name = host.syscallName(id);
    if (name !== undefined && isSelected(name)) chosen.push({ id, name });
  }
  return chosen;
}

export function enterEvent(name: string, host: HostFacts): string {
  return `syscalls:sys_enter_${host.syscallEventName(name)}`;
}

export function exitEvent(name: string, host: HostFacts): string {
  return `syscalls:sys_exit_${host.syscallEventName(name)}`;
}

/**
 * The chosen syscalls if they have events of their own and are few; undefined to use `raw_syscalls`: without `include`,
 * with too many, or if one of them has no events of its own (it would be missing in silence). Without `raw_syscalls`,
 * as in some recordings, returns all that have events of their own.
 */
export function byOwnEvents(
  options: SyscallOptions,
  host: HostFacts,
  hasEvent: (event: string) => boolean,
): readonly ChosenSyscall[] | undefined {
  const hasRaw = hasEvent(RAW_ENTER) && hasEvent(RAW_EXIT);
  if (hasRaw && options.include.length === 0) return undefined;
  const chosen = chosenSyscalls(options, host);
  const traceable = ({ name }: ChosenSyscall) =>
    hasEvent(enterEvent(name, host)) && hasEvent(exitEvent(name, host));
  if (!hasRaw) {
    const own = chosen.filter(traceable);
    return own.length > 0 ? own : undefined;
  }
  if (chosen.length === 0 || chosen.length > MOST_OWN_EVENTS) return undefined;
  return chosen.every(traceable) ? chosen : undefined;
}
