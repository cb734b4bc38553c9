/**
 * Chooses which syscalls to measure, and which events to read. The `raw_syscalls` events occur for every syscall. If
 * the config selects a few syscalls, their separate events `syscalls:sys_enter_NAME` and `sys_exit_NAME` cost one
 * third.
 */
import { globMatcher } from '../../config/units/globs.ts';
import type { CommonOptions, HostFacts } from '../probe.ts';

export const RAW_ENTER = 'raw_syscalls:sys_enter';
export const RAW_EXIT = 'raw_syscalls:sys_exit';
/** Maximum number of syscalls with separate events. */
const MOST_OWN_EVENTS = 16;
/** Label value for numbers not in the host's syscall table. */
export const UNKNOWN = 'unknown';

export interface SyscallOptions extends CommonOptions {
  /** Empty: all syscalls. */
  include: readonly string[];
  exclude: readonly string[];
}

export interface ChosenSyscall {
  id: number;
  name: string;
}

export function syscallFilter(options: SyscallOptions): (name: string) => boolean {
  const included = options.include.length === 0 ? () => true : globMatcher(options.include);
  const excluded = globMatcher(options.exclude);
  return (name) => included(name) && !excluded(name);
}

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
 * Returns the syscalls whose separate events to read; undefined to read the `raw_syscalls` events. In a recording
 * without `raw_syscalls` events, returns all selected syscalls with separate events; undefined if there are none.
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
