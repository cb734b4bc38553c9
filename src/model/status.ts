/** Whether a probe is up and, if not, why. */
export interface ProbeStatus {
  name: string;
  up: boolean;
  /** Why the probe is not up; '' if it is. */
  reason: string;
  /** Events that the probe requested and receives. */
  events: string[];
  /** Sentences that say what the probe cannot measure on this machine, and which names in the config match nothing. */
  notes?: readonly string[];
}

/** The agent's CPU budget, and the probes that the agent suspended to stay within the budget. */
export interface BudgetStatus {
  /** The budget (`cores`) and the agent's average use over the window (`usedCores`), in CPUs. */
  cores: number;
  usedCores: number;
  windowSeconds: number;
  /** `until`: UTC, RFC 3339. If the agent is still over its budget at this time, it extends the suspension. */
  suspended: { probe: string; until: string; reason: string }[];
}

/** Whether a kind of trace receives the events it needs. */
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
  /** Whether spans name the process and the program. */
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
  /** Events that another process read from the buffer, so that the agent did not get them. */
  taken: number;
  /** How often the buffer was emptied. Each time, an unknown number of events was lost. */
  cleared: number;
  /** How often recording was interrupted, or may have been interrupted. */
  paused: number;
}

/** Losses of one CPU's buffer, and the number of events read from it, since the instance was created. */
export interface LossReport extends CpuLoss {
  buffer: string;
  cpu: number;
  read: number;
}

/** A buffer that the agent reads: the instance for events, or the instance of a tracer. */
export interface BufferStatus {
  buffer: string;
  /** '' if the buffer is the top level's. */
  instance: string;
  /** `raw` or `trace_pipe`. `none`: the agent reads only the tracer's longest latency. */
  reader: string;
  bufferBytesPerCpu: number;
  subbufferBytes: number;
}

/** Contents of `/api/v1/status` and `/`. Plain data, because the capture thread sends it to the main thread. */
export interface CaptureStatus extends Omit<BufferStatus, 'buffer'> {
  source: 'live' | 'replay';
  kernelRelease: string;
  machine: string;
  clock: string;
  tracefs: string;
  cpus: number;
  /** All buffers that the agent reads. The buffer for events is first, if it exists. Empty for a replay. */
  buffers: BufferStatus[];
  tickMs: number;
  probes: ProbeStatus[];
  /** Kinds of traces that are on. */
  kinds: KindStatus[];
  /** Absent if no enabled kind of trace can become part of an application's trace. */
  markers?: MarkerStatus | undefined;
  /** Absent if all kinds of traces are off. */
  tasks?: ProcessFactsStatus | undefined;
  loss: LossReport[];
  warnings: string[];
  /** CPU seconds that the capture thread has used, and the number of events that it has processed. */
  cost: { cpuSeconds: number; events: number };
  /** Absent if the config sets no budget. */
  budget?: BudgetStatus | undefined;
}

/** The response of `/api/v1/status`. The page at `/` shows the same data. */
export interface StatusDocument {
  version: string;
  source: 'live' | 'replay';
  ready: boolean;
  /** Why the agent is not ready, or why the capture does not answer; else ''. */
  reason: string;
  /** Null if the capture thread does not answer. */
  capture: CaptureStatus | null;
}
