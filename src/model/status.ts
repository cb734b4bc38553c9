/** Whether a probe is up, and why not. */
export interface ProbeStatus {
  name: string;
  up: boolean;
  /** Empty if up. */
  reason: string;
  /** Events that the probe requested and gets. */
  events: string[];
  /** Sentences about what the probe cannot measure here, and about names in the config that match nothing. */
  notes?: readonly string[];
}

/** Whether a kind of trace gets the events it needs. */
export interface KindStatus {
  kind: string;
  up: boolean;
  /** Empty if up. */
  reason: string;
}

/** Where programs can write markers for their own spans. */
export interface MarkerStatus {
  /** Files to write into. */
  files: string[];
  /** Why the top level's `trace_marker` is not included; empty if it is. */
  reason: string;
}

/** What spans can say about the task they describe. */
export interface ProcessFactsStatus {
  /** Process and program. */
  processes: boolean;
  containers: boolean;
  /** Why not; empty if both are available. */
  reason: string;
}

/** Losses and reads of one CPU's buffer since the instance was made. */
export interface LossReport {
  buffer: string;
  cpu: number;
  read: number;
  overrun: number;
  commitOverrun: number;
  dropped: number;
  /** Events that another reader consumed. */
  taken: number;
  /** Number of times that somebody emptied the buffer. */
  cleared: number;
  /** Number of times that recording was interrupted, or may have been. */
  paused: number;
}

/** A buffer that the agent reads: the instance for events, or that of a tracer. */
export interface BufferStatus {
  buffer: string;
  /** '' for the top level. */
  instance: string;
  /** `raw`, `trace_pipe`, or `none` if only the longest latency is checked. */
  reader: string;
  bufferBytesPerCpu: number;
  subbufferBytes: number;
}

/** Contents of `/api/v1/status` and `/`. Crosses the thread boundary, so plain data only. */
export interface CaptureStatus {
  source: 'live' | 'replay';
  kernelRelease: string;
  machine: string;
  clock: string;
  tracefs: string;
  instance: string;
  reader: string;
  cpus: number;
  bufferBytesPerCpu: number;
  subbufferBytes: number;
  /** All buffers, starting with the one for events, if there is one. Empty for a replay. */
  buffers: BufferStatus[];
  tickMs: number;
  probes: ProbeStatus[];
  /** Kinds of traces that are on. */
  kinds: KindStatus[];
  /** Absent if no enabled kind of trace can be part of a program's own. */
  markers?: MarkerStatus | undefined;
  /** Absent if no kind of trace is on. */
  tasks?: ProcessFactsStatus | undefined;
  loss: LossReport[];
  warnings: string[];
  /** CPU seconds that the capture thread has used, and the events it processed with them. */
  cost: { cpuSeconds: number; events: number };
}
