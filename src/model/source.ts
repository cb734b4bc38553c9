import type { PageLayout } from './format.ts';

/**
 * A source of raw pages (sub-buffers): per-CPU `trace_pipe_raw` files, a recording, or a simulation. Implementations
 * never block.
 */
export interface PageSource {
  /** CPUs whose buffers can contain pages now. CPU hotplug can change the result between calls. */
  cpus(): readonly number[];
  /**
   * Copies the next sub-buffer of one CPU to `into`, which must have at least `PageLayout.pageSize` bytes. Returns the
   * number of bytes, or 0 if no page is ready. Temporary errors (EAGAIN, EBUSY, ENOMEM) also return 0; other errors
   * throw a `KernelError`.
   */
  readPage(cpu: number, into: Uint8Array): number;
}

/** A source of trace text: `trace_pipe`, or a file. Implementations never block. */
export interface TextSource {
  /** Copies the next bytes of text to `into`. Returns their number, or 0 if no text is ready. */
  readText(into: Uint8Array): number;
}

/** Facts about the machine and the trace buffer that the decoder needs to read pages. */
export interface TraceMetadata {
  layout: PageLayout;
  /** Name of the trace clock. The agent itself uses `mono`; recordings made by other programs can use other clocks. */
  clock: string;
  /** `uname -m` of the recording machine: `x86_64`, `aarch64`. */
  machine: string;
  /** Kernel release as in `uname -r`. */
  kernelRelease: string;
  /** Number of possible CPUs: the highest logical CPU number + 1. */
  cpuCount: number;
  /** All available events, in the form `system:name`. */
  events(): readonly string[];
  /** Text of an event's format file. Undefined if the kernel or the recording lacks the event. */
  formatText(event: string): string | undefined;
}

/**
 * Contents of one CPU's file `per_cpu/cpuN/stats`. All fields except `cpu` and `bytes` are numbers of events, counted
 * since the last reset of the buffer.
 */
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
