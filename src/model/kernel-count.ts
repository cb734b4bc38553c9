/** Counts that the kernel keeps itself, by fields of an event, in a hist trigger. No event is recorded. */

/** Who counts: the agent, from recorded events, or the kernel. */
export const COUNT_IN = ['agent', 'kernel'] as const;
export type CountIn = (typeof COUNT_IN)[number];

/** The CPU, among the keys of a count. */
export const KERNEL_CPU = 'common_cpu';
/** The kernel's limit: TRACING_MAP_KEYS_MAX in kernel/trace/tracing_map.h. */
export const MOST_KERNEL_KEYS = 3;

export interface KernelCountRequest {
  /** `system:name` */
  event: string;
  /** Fields with numbers; `KERNEL_CPU` is the CPU. One to three. */
  keys: readonly string[];
  /** Combinations of their values that the kernel needs room for. */
  room: number;
}

export interface KernelCount {
  /** Visits each combination of values that has happened since the last call; `more`: how often. */
  read(visit: (values: readonly bigint[], more: number) => void): void;
  /** The kernel need not count this any more. */
  end(): void;
}
