/** The kernel can count an event by its fields (hist trigger), without recording the event. */

/** Who counts: the agent, from recorded events, or the kernel. */
export const COUNT_IN = ['agent', 'kernel'] as const;
export type CountIn = (typeof COUNT_IN)[number];

/** The key that stands for the CPU on which the event occurred. */
export const KERNEL_CPU = 'common_cpu';
/** The kernel's limit: TRACING_MAP_KEYS_MAX in kernel/trace/tracing_map.h. */
export const MOST_KERNEL_KEYS = 3;

export interface KernelCountRequest {
  /** `system:name` */
  event: string;
  /** One to three fields that contain numbers, or `KERNEL_CPU`. */
  keys: readonly string[];
  /** Number of combinations of key values for which the kernel reserves memory. */
  room: number;
}

export interface KernelCount {
  /** Visits each combination of values that occurred since the last call; `more` is how often it occurred. */
  read(visit: (values: readonly bigint[], more: number) => void): void;
  /** Ends this use of the count. After the last use, the kernel stops counting. */
  end(): void;
}
