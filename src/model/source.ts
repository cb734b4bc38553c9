import type { PageLayout } from './format.ts';

/** A source of raw pages (sub-buffers). Implementations never block. */
export interface PageSource {
  /** CPUs whose buffers can contain pages now. CPU hotplug can change the result between calls. */
  cpus(): readonly number[];
  /**
   * Copies the next page of a CPU to `into`, which must have at least `PageLayout.pageSize` bytes. Returns the number
   * of bytes; 0 if no page is ready, or after a temporary error (EAGAIN, EBUSY, ENOMEM). Other errors throw a
   * `KernelError`.
   */
  readPage(cpu: number, into: Uint8Array): number;
  /**
   * Copies up to `into.length` pages, each to an array of `PageLayout.pageSize` bytes. Returns the number of bytes: fewer
   * than requested if the CPU has no further page now. Absent if the source can read only single pages.
   */
  readPages?(cpu: number, into: readonly Uint8Array[]): number;
}

/** A source of trace text: `trace_pipe`, or a file. Implementations never block. */
export interface TextSource {
  /** Copies the next text to `into`. Returns the number of bytes, or 0 if no text is ready. */
  readText(into: Uint8Array): number;
}

/** What the decoder must know about the machine and the trace buffer. */
export interface TraceMetadata {
  layout: PageLayout;
  /** Name of the trace clock. The agent uses `mono`; recordings of other programs can use other clocks. */
  clock: string;
  /** `uname -m` of the recording machine: `x86_64`, `aarch64`. */
  machine: string;
  /** As in `uname -r`. */
  kernelRelease: string;
  /** The highest possible CPU number + 1. */
  cpuCount: number;
  /** All available events, as `system:name`. */
  events(): readonly string[];
  /** Text of an event's format file. Undefined if there is no such event. */
  formatText(event: string): string | undefined;
}

/** Contents of `per_cpu/cpuN/stats`: numbers of events since the last reset of the buffer, except `cpu` and `bytes`. */
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
