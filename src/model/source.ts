import type { PageLayout } from './format.ts';

/**
 * Where raw pages come from: per-CPU `trace_pipe_raw` files, a capture, or a simulation.
 * Implementations never block.
 */
export interface PageSource {
  /** CPUs that can have pages now. May change between calls (hotplug). */
  cpus(): readonly number[];
  /**
   * Copies the next sub-buffer of one CPU into `into` (at least `PageLayout.pageSize` bytes). Returns the number of bytes,
   * or 0 if there is nothing at the moment. Temporary conditions (EAGAIN, EBUSY, ENOMEM) also return 0; anything else
   * throws a `KernelError`.
   */
  readPage(cpu: number, into: Uint8Array): number;
}

/** Where text comes from: `trace_pipe`, or a file. Implementations never block. */
export interface TextSource {
  /** Copies the next text into `into`. Returns the number of bytes, or 0 if there is nothing at the moment. */
  readText(into: Uint8Array): number;
}

/** What the decoder needs to know about the machine and the buffer to read pages. */
export interface TraceMetadata {
  layout: PageLayout;
  /** The trace clock in use; `mono` if the agent records. */
  clock: string;
  /** `uname -m` of the recording machine: `x86_64`, `aarch64`. */
  machine: string;
  /** Kernel release, `uname -r`. */
  kernelRelease: string;
  /** Number of CPUs the buffer can have: the highest logical CPU number + 1. */
  cpuCount: number;
  /** All available events, as `system:name`. */
  events(): readonly string[];
  /** Text of an event's format file; undefined if the kernel or the capture lacks the event. */
  formatText(event: string): string | undefined;
}

/** Counters of one CPU's buffer, from `per_cpu/cpuN/stats`, since the buffer was created or last reset. */
export interface BufferStats {
  cpu: number;
  entries: number;
  overrun: number;
  commitOverrun: number;
  droppedEvents: number;
  readEvents: number;
  /** Bytes currently in the buffer. */
  bytes: number;
}
