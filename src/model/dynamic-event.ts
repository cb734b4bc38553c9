/** Types and names of dynamic events: events that the agent defines on functions of the kernel or of programs. */

export const DYNAMIC_KINDS = ['kprobe', 'kretprobe', 'uprobe', 'uretprobe'] as const;
export type DynamicKind = (typeof DYNAMIC_KINDS)[number];

export interface DynamicEvent {
  kind: DynamicKind;
  /** `SYMBOL` or `SYMBOL+OFFSET` in the kernel; `PATH:SYMBOL`, `PATH:SYMBOL+OFFSET` or `PATH:0xOFFSET` in a program. */
  target: string;
  /** Expression of each field, in the kernel's syntax: `%di:u64`, `$retval:s32`, `+0($arg1):string`. */
  args: Readonly<Record<string, string>>;
}

/**
 * Maximum length of a name before the hash and `_start`, `_end` or `_event` are appended. The kernel's limit is 64
 * (MAX_EVENT_NAME_LEN in kernel/trace/trace_probe.h).
 */
const LONGEST_NAME = 40;

/**
 * Name of the event group (system) of an agent's dynamic events. Contains the name of the agent's tracefs instance, so
 * each agent has its own group.
 */
export function dynamicGroup(instance: string): string {
  return `ftx_${shortName(instance)}`;
}

export function dynamicName(metric: string, side: 'start' | 'end' | 'event'): string {
  return `${shortName(metric)}_${side}`;
}

/**
 * Replaces all characters except letters, digits and `_`, and shortens long names. If this changes the name, appends a
 * hash of the original name, so that different names stay different.
 */
function shortName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_]/g, '_');
  if (plain === name && name.length <= LONGEST_NAME) return name;
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return `${plain.slice(0, LONGEST_NAME)}_${(hash >>> 0).toString(16)}`;
}
