/**
 * Types for counting events in the kernel: a hist trigger counts an event by its fields, and the kernel does not record
 * the event.
 */

/**
 * Where events are counted. `agent`: the agent counts recorded events. `kernel`: the kernel counts the events itself.
 */
export const COUNT_IN = ['agent', 'kernel'] as const;
export type CountIn = (typeof COUNT_IN)[number];

/** Name of the key that contains the CPU on which the event occurred. */
export const KERNEL_CPU = 'common_cpu';
/** The kernel's limit: TRACING_MAP_KEYS_MAX in kernel/trace/tracing_map.h. */
export const MOST_KERNEL_KEYS = 3;

export interface KernelCountRequest {
  /** `system:name` */
  event: string;
  /** One to three keys: names of fields that contain numbers, or `KERNEL_CPU`. */
  keys: readonly string[];
  /** Number of combinations of key values for which the kernel reserves memory. */
  room: number;
}

export interface KernelCount {
  /**
   * Visits each combination of key values that occurred since the last call of `read`. `more`: number of new
   * occurrences.
   */
  read(visit: (values: readonly bigint[], more: number) => void): void;
  /** Ends this use of the count. When no use is left, the agent removes the hist trigger. */
  end(): void;
}
