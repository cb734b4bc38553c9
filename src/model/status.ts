export interface ProbeStatus {
  name: string;
  up: boolean;
  /** Why the probe is not up; '' if it is. */
  reason: string;
  /** Events that the probe receives. */
  events: string[];
  /** What the probe cannot measure on this machine, and names in the config that match nothing. */
  notes?: readonly string[];
}

/** The agent's CPU budget, and the probes that the agent suspended to stay within the budget. */
export interface BudgetStatus {
  /** The budget (`cores`) and the average use over the window, in CPUs. */
  cores: number;
  usedCores: number;
  windowSeconds: number;
  /** `until`: UTC, RFC 3339. The suspension is extended if the agent is then still over its budget. */
  suspended: { probe: string; until: string; reason: string }[];
}

/** Whether a kind of trace receives its events. */
export interface KindStatus {
  kind: string;
  up: boolean;
  /** Why the kind is not up; '' if it is. */
  reason: string;
}

/** Where programs can write markers about their own spans. */
export interface MarkerStatus {
  /** Files to write into. */
  files: string[];
  /** Why `files` does not contain the top level's `trace_marker`; '' if it does. */
  reason: string;
}

/** Which facts about an operation's task the spans contain. */
export interface ProcessFactsStatus {
  /** Whether spans name processes and programs. */
  processes: boolean;
  containers: boolean;
  /** Why facts about processes or containers are missing; '' if both are available. */
  reason: string;
}

/** Losses of one CPU's buffer. `cleared` and `paused` are numbers of occurrences, the others numbers of events. */
export interface CpuLoss {
  overrun: number;
  commitOverrun: number;
  dropped: number;
  /** Events that another process read from the buffer. */
  taken: number;
  /** How often the buffer was emptied. Each time, an unknown number of events was lost. */
  cleared: number;
  /** How often recording was, or may have been, interrupted. */
  paused: number;
}

/** Losses of one CPU's buffer, and events read from it (`read`), since the instance was created. */
export interface LossReport extends CpuLoss {
  buffer: string;
  cpu: number;
  read: number;
}

/** A buffer that the agent reads. */
export interface BufferStatus {
  buffer: string;
  /** '' for the top level's buffer. */
  instance: string;
  /** `raw` or `trace_pipe`. `none`: only the tracer's longest latency is read. */
  reader: string;
  bufferBytesPerCpu: number;
  subbufferBytes: number;
}

/** Contents of `/api/v1/status` and `/`. Plain data, because it is sent between threads. */
export interface CaptureStatus extends Omit<BufferStatus, 'buffer'> {
  source: 'live' | 'replay';
  kernelRelease: string;
  machine: string;
  clock: string;
  tracefs: string;
  cpus: number;
  /** The buffer for events comes first, if it exists. Empty for a replay. */
  buffers: BufferStatus[];
  tickMs: number;
  probes: ProbeStatus[];
  /** Kinds of traces that are on. */
  kinds: KindStatus[];
  /** Absent if no enabled kind of trace can be part of an application's trace. */
  markers?: MarkerStatus | undefined;
  /** Absent if all kinds of traces are off. */
  tasks?: ProcessFactsStatus | undefined;
  loss: LossReport[];
  warnings: string[];
  /** CPU seconds of the capture thread, and number of events that it has processed. */
  cost: { cpuSeconds: number; events: number };
  /** Absent if the config sets no budget. */
  budget?: BudgetStatus | undefined;
}

/** The response of `/api/v1/status`. */
export interface StatusDocument {
  version: string;
  source: 'live' | 'replay';
  ready: boolean;
  /** Why the agent is not ready, or why the capture does not answer; '' otherwise. */
  reason: string;
  /** Null if the capture thread does not answer. */
  capture: CaptureStatus | null;
}
