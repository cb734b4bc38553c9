import type { PageLayout } from './format.ts';

/**
 * Where raw pages come from: per-CPU `trace_pipe_raw` files, a recording, or a simulation. Implementations never block.
 */
export interface PageSource {
  /** CPUs that can have pages now. The result may change between calls (CPU hotplug). */
  cpus(): readonly number[];
  /**
   * Copies the next sub-buffer of one CPU to `into`, which must have at least `PageLayout.pageSize` bytes. Returns the
   * number of bytes, or 0 if no page is ready. Temporary errors (EAGAIN, EBUSY, ENOMEM) also return 0; other errors
   * throw a `KernelError`.
   */
  readPage(cpu: number, into: Uint8Array): number;
}

/** Where text comes from: `trace_pipe`, or a file. Implementations never block. */
export interface TextSource {
  /** Copies the next text to `into`. Returns the number of bytes, or 0 if no text is ready. */
  readText(into: Uint8Array): number;
}

/** What the decoder must know about the machine and the buffer before it can read pages. */
export interface TraceMetadata {
  layout: PageLayout;
  /** The trace clock in use. It is `mono` if the agent makes the recording. */
  clock: string;
  /** `uname -m` of the recording machine: `x86_64`, `aarch64`. */
  machine: string;
  /** Kernel release as in `uname -r`. */
  kernelRelease: string;
  /** Number of CPUs that the buffer can have: the highest logical CPU number + 1. */
  cpuCount: number;
  /** All available events, in the form `system:name`. */
  events(): readonly string[];
  /** Text of an event's format file. Undefined if the kernel or the recording lacks the event. */
  formatText(event: string): string | undefined;
}

/** Counters from `per_cpu/cpuN/stats` of one CPU's buffer. They count from the last reset of the buffer. */
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
