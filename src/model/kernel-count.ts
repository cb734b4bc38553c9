/** Counting events in the kernel: a hist trigger counts an event by its fields, without recording the event. */

/** Where events are counted: by the agent (from records), or by the kernel. */
export const COUNT_IN = ['agent', 'kernel'] as const;
export type CountIn = (typeof COUNT_IN)[number];

/** Key with the CPU on which the event occurred. */
export const KERNEL_CPU = 'common_cpu';
/** TRACING_MAP_KEYS_MAX in kernel/trace/tracing_map.h. */
export const MOST_KERNEL_KEYS = 3;

export interface KernelCountRequest {
  /** `system:name` */
  event: string;
  /** One to three keys: `KERNEL_CPU`, or fields that contain numbers. */
  keys: readonly string[];
  /** Combinations of key values for which the kernel reserves memory. */
  room: number;
}

export interface KernelCount {
  /** Visits each combination of key values that occurred since the last `read`. `more`: number of new occurrences. */
  read(visit: (values: readonly bigint[], more: number) => void): void;
  /** Ends this use of the count. When no use is left, the agent removes the hist trigger. */
  end(): void;
}
