/** Dynamic events: events that the agent defines on functions of the kernel or of programs. */

export const DYNAMIC_KINDS = ['kprobe', 'kretprobe', 'uprobe', 'uretprobe'] as const;
export type DynamicKind = (typeof DYNAMIC_KINDS)[number];

export interface DynamicEvent {
  kind: DynamicKind;
  /** `SYMBOL` or `SYMBOL+OFFSET` in the kernel; `PATH:SYMBOL`, `PATH:SYMBOL+OFFSET` or `PATH:0xOFFSET` in a program. */
  target: string;
  /** Expression of each field in the kernel's syntax: `%di:u64`, `$retval:s32`, `+0($arg1):string`. */
  args: Readonly<Record<string, string>>;
}

/**
 * Maximum length without hash and suffix. The kernel's limit is 64 (MAX_EVENT_NAME_LEN, kernel/trace/trace_probe.h).
 */
const LONGEST_NAME = 40;

/** Name of the event group (system) of the dynamic events of an agent with this tracefs instance. */
export function dynamicGroup(instance: string): string {
  return `ftx_${shortName(instance)}`;
}

export function dynamicName(metric: string, side: 'start' | 'end' | 'event'): string {
  return `${shortName(metric)}_${side}`;
}

/** Makes a valid name. A changed name ends with a hash of the original, so that different names stay different. */
function shortName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_]/g, '_');
  if (plain === name && name.length <= LONGEST_NAME) return name;
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return `${plain.slice(0, LONGEST_NAME)}_${(hash >>> 0).toString(16)}`;
}
