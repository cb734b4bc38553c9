/**
 * Chooses which syscalls to measure, and which events to read. The `raw_syscalls` events occur for every syscall of
 * every task. Each syscall also has separate events, `syscalls:sys_enter_NAME` and `sys_exit_NAME`. If the config
 * selects only a few syscalls, their separate events cost only one third as much as the `raw_syscalls` events.
 */
import { globMatcher } from '../../config/units/globs.ts';
import type { CommonOptions, HostFacts } from '../probe.ts';

export const RAW_ENTER = 'raw_syscalls:sys_enter';
export const RAW_EXIT = 'raw_syscalls:sys_exit';
/** Maximum number of selected syscalls for which the probe reads separate events. */
const MOST_OWN_EVENTS = 16;
/** Label value for numbers that are not in the host's syscall table. */
export const UNKNOWN = 'unknown';

export interface SyscallOptions extends CommonOptions {
  /** Globs of syscall names. An empty list selects all syscalls. */
  include: readonly string[];
  exclude: readonly string[];
}

export interface ChosenSyscall {
  id: number;
  name: string;
}

/** Returns a function that checks whether the config selects a name. */
export function syscallFilter(options: SyscallOptions): (name: string) => boolean {
  const included = options.include.length === 0 ? () => true : globMatcher(options.include);
  const excluded = globMatcher(options.exclude);
  return (name) => included(name) && !excluded(name);
}

/** Returns the syscalls of the host's table that the config selects. */
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
 * Returns the syscalls whose separate events the probe reads; undefined if the probe reads the `raw_syscalls` events.
 * The probe reads separate events if `include` selects 1 to `MOST_OWN_EVENTS` syscalls, and all of them have separate
 * events. If there are no `raw_syscalls` events (in a recording), returns all selected syscalls that have separate
 * events; undefined if there are none.
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
