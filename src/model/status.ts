/** Why a probe is off, or that it runs. */
export interface ProbeStatus {
  name: string;
  up: boolean;
  /** Empty when up. */
  reason: string;
  /** Events it asked for and gets. */
  events: string[];
  /** What it cannot say here, and names of the config that match nothing, as sentences. */
  notes?: readonly string[];
}

/** Whether a kind of trace gets what it needs. */
export interface KindStatus {
  kind: string;
  up: boolean;
  /** Empty when up. */
  reason: string;
}

/** Where programs can tell of their own spans. */
export interface MarkerStatus {
  /** Files to write into. */
  files: string[];
  /** Why the top level's `trace_marker` is not among them; empty when it is. */
  reason: string;
}

/** What spans can tell of the task they are about. */
export interface ProcessFactsStatus {
  /** Process and program. */
  processes: boolean;
  containers: boolean;
  /** Why not; empty when both. */
  reason: string;
}

/** Loss and reading of one CPU's buffer since the instance was made. */
export interface LossReport {
  buffer: string;
  cpu: number;
  read: number;
  overrun: number;
  commitOverrun: number;
  dropped: number;
  /** Events that another reader took. */
  taken: number;
  /** Times that somebody emptied the buffer. */
  cleared: number;
  /** Times that recording was interrupted, or may have been. */
  paused: number;
}

/** A buffer that is read: the instance of the events, or that of a tracer. */
export interface BufferStatus {
  buffer: string;
  /** '' for the top level. */
  instance: string;
  /** `raw`, `trace_pipe`, or `none` where only the longest latency is looked at. */
  reader: string;
  bufferBytesPerCpu: number;
  subbufferBytes: number;
}

/** What `/api/v1/status` and `/` show. Crosses the thread boundary, so plain data only. */
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
  /** All buffers, that of the events first where there is one; empty for a replay. */
  buffers: BufferStatus[];
  tickMs: number;
  probes: ProbeStatus[];
  /** Kinds of traces that are on. */
  kinds: KindStatus[];
  /** Absent where no kind of trace that is on can be part of a program's own. */
  markers?: MarkerStatus;
  /** Absent where no kind of trace is on. */
  tasks?: ProcessFactsStatus;
  loss: LossReport[];
  warnings: string[];
  /** CPU seconds the capture thread has used, and the events it has processed for them. */
  cost: { cpuSeconds: number; events: number };
}
