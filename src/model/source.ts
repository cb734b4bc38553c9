import type { PageLayout } from './format.ts';

/**
 * Where raw pages come from: per-CPU `trace_pipe_raw` files, a capture, or a simulation.
 * Implementations never block.
 */
export interface PageSource {
  /** CPUs that can have pages now. May change between calls (hotplug). */
  cpus(): readonly number[];
  /**
   * Copies the next sub-buffer of one CPU into `into` (at least `PageLayout.pageSize` bytes).
   * Returns the bytes copied, 0 when there is nothing (more) at the moment.
   * Passing conditions (EAGAIN, EBUSY, ENOMEM) are 0 as well; anything else throws a `KernelError`.
   */
  readPage(cpu: number, into: Uint8Array): number;
}

/** Where text comes from: `trace_pipe`, or a file. Implementations never block. */
export interface TextSource {
  /** Copies what comes next into `into`; returns the bytes copied, 0 when there is nothing (more) at the moment. */
  readText(into: Uint8Array): number;
}

/** What must be known about the machine and the buffer before pages can be understood. */
export interface TraceMetadata {
  layout: PageLayout;
  /** The trace clock in use: `mono` when the agent records by itself. */
  clock: string;
  /** `uname -m` of the machine that recorded: `x86_64`, `aarch64`. */
  machine: string;
  /** Kernel release, `uname -r`. */
  kernelRelease: string;
  /** Number of CPUs the buffer can have: the highest logical CPU number + 1. */
  cpuCount: number;
  /** All events offered, as `system:name`. */
  events(): readonly string[];
  /** Text of an event's format file, undefined where the kernel (or the capture) does not have the event. */
  formatText(event: string): string | undefined;
}

/** Counts of one CPU's buffer, from `per_cpu/cpuN/stats`. All count from the buffer's creation or last reset. */
export interface BufferStats {
  cpu: number;
  entries: number;
  overrun: number;
  commitOverrun: number;
  droppedEvents: number;
  readEvents: number;
  /** Bytes now in the buffer. */
  bytes: number;
}
