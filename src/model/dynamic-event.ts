/** Events that the agent defines itself, at functions of the kernel or of programs, and what they are called. */

export const DYNAMIC_KINDS = ['kprobe', 'kretprobe', 'uprobe', 'uretprobe'] as const;
export type DynamicKind = (typeof DYNAMIC_KINDS)[number];

export interface DynamicEvent {
  kind: DynamicKind;
  /** `SYMBOL` or `SYMBOL+OFFSET`; for programs with `PATH:` before it, and also `PATH:0xOFFSET`. */
  target: string;
  /** Fields, with expressions in the kernel's language: `%di:u64`, `$retval:s32`, `+0($arg1):string`. */
  args: Readonly<Record<string, string>>;
}

/** MAX_EVENT_NAME_LEN of kernel/trace/trace_probe.h is 64. */
const LONGEST_NAME = 40;

/** The group of an agent's events, by the name of its instance: one name, one group. */
export function dynamicGroup(instance: string): string {
  return `ftx_${shortName(instance)}`;
}

export function dynamicName(metric: string, side: 'start' | 'end' | 'event'): string {
  return `${shortName(metric)}_${side}`;
}

/** A name of letters, digits and `_`. If that needs a change, a hash keeps names apart. */
function shortName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_]/g, '_');
  if (plain === name && name.length <= LONGEST_NAME) return name;
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return `${plain.slice(0, LONGEST_NAME)}_${(hash >>> 0).toString(16)}`;
}
