/** How to set up a tracer, as data: a probe requests its tracer, and src/tracefs sets it up. */

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
  /** A name from `available_tracers`, also used as the label `buffer` and in the instance's name. */
  tracer: string;
  /**
   * Where the tracer runs. `instance`: in a tracefs instance; every kernel that has the tracer allows this.
   * `prefer_instance`: in an instance if the kernel allows this, otherwise at the top level. `top`: at the top level.
   */
  where: 'instance' | 'prefer_instance' | 'top';
  /**
   * How the agent reads the tracer's output. `events`: as binary records with format files, like other events.
   * `latency`: only the longest latency and its trace. `text`: as text, because the tracer's records have no format
   * file.
   */
  reads: 'events' | 'latency' | 'text';
  /**
   * Values for files in `options/`. The agent writes them before the tracer starts, and skips files that the kernel
   * lacks.
   */
  options: Readonly<Record<string, '0' | '1'>>;
  /**
   * Values for control files that exist only at the top level. The agent writes them before the tracer starts, and
   * restores the old values later.
   */
  knobs: readonly Knob[];
  /** CPUs to record on, written to `tracing_cpumask` of the tracer's instance. Undefined: all CPUs. */
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

/**
 * Which functions to trace. Globs consist of letters, digits and `_.$*?`, so a glob cannot contain a filter command
 * such as `:traceoff`.
 */
export interface FunctionFilter {
  /** If empty, all functions are traced; the config must request this with `unfiltered`. */
  functions: readonly string[];
  notrace: readonly string[];
  /**
   * Pids (in the host's pid namespace) of the tasks to trace. Children that these tasks create later are also traced.
   * If empty, all tasks are traced.
   */
  pids: readonly number[];
  /**
   * Only for the tracer function_graph. 1: trace only `functions`. A larger number: also trace the functions that they
   * call, down to this many levels; the kernel then instruments all functions. 0: no limit.
   */
  maxDepth: number;
}

/** The longest latency that a latency tracer has recorded since its last reset. */
export interface LatencyRecord {
  tracer: string;
  latencyNs: number;
  /** Wall clock time in milliseconds at which the agent noticed the record. */
  atMs: number;
  /** Text of the instance's `trace` file, cut off at a maximum length. */
  trace: string;
}
