/** How to set up a tracer. A probe requests its tracer; src/tracefs sets it up. */

/** Tracers that keep only the longest latency (kernel/trace/trace_sched_wakeup.c, trace_irqsoff.c). */
export const LATENCY_TRACERS = [
  'wakeup',
  'wakeup_rt',
  'wakeup_dl',
  'irqsoff',
  'preemptoff',
  'preemptirqsoff',
] as const;

export interface TracerRequest {
  /** A name from `available_tracers`, also the label `buffer`. */
  tracer: string;
  /**
   * Where the tracer runs. `instance`: in a tracefs instance. `prefer_instance`: in an instance if the kernel allows
   * this, otherwise at the top level. `top`: at the top level.
   */
  where: 'instance' | 'prefer_instance' | 'top';
  /**
   * `events`: binary records with format files. `latency`: only the longest latency and its trace. `text`: text,
   * because the tracer's records have no format file.
   */
  reads: 'events' | 'latency' | 'text';
  /** Values for files in `options/`, written before the tracer starts. Missing files are skipped. */
  options: Readonly<Record<string, '0' | '1'>>;
  /** Values for control files at the top level, written before the tracer starts and restored later. */
  knobs: readonly Knob[];
  /** CPUs to record on. Undefined: all. */
  cpumask?: readonly number[] | undefined;
  functions?: FunctionFilter;
  /** Only for `blk`: globs of the whole disks to trace. */
  blockDevices?: readonly string[];
}

export interface Knob {
  /** Path relative to the root of tracefs: `osnoise/cpus`. */
  file: string;
  value: string;
  /** True: if the kernel lacks the file, the agent skips it. Otherwise, a missing file makes the tracer unavailable. */
  optional?: boolean;
}

/** Which functions to trace. Globs consist of letters, digits and `_.$*?`, and so cannot contain filter commands. */
export interface FunctionFilter {
  /** If empty, all functions are traced; the config must then set `unfiltered`. */
  functions: readonly string[];
  notrace: readonly string[];
  /**
   * Pids (in the host's pid namespace) of tasks to trace, including later children of these tasks. If empty: all tasks.
   */
  pids: readonly number[];
  /**
   * Only for function_graph. 1: trace only `functions`. A larger number: also trace the functions that they call, down
   * to this many levels; the kernel then instruments all functions. 0: no limit.
   */
  maxDepth: number;
}

/** The longest latency since the tracer's last reset. */
export interface LatencyRecord {
  tracer: string;
  latencyNs: number;
  /** Wall clock in milliseconds when the agent noticed the record. */
  atMs: number;
  /** Text of the instance's `trace` file, cut off at a maximum length. */
  trace: string;
}
