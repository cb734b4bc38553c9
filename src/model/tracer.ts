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
   * `instance`: every kernel that has the tracer allows it in instances. `prefer_instance`: some kernels allow it only
   * at the top level, where it then runs. `top`: it always runs at the top level.
   */
  where: 'instance' | 'prefer_instance' | 'top';
  /**
   * How to read the tracer's data. `events`: as records, like those of any event. `latency`: only the longest latency
   * and its trace. `text`: as text, because its records have no format file.
   */
  reads: 'events' | 'latency' | 'text';
  /** Files in `options/`, written before the tracer starts. Files that the kernel lacks are skipped. */
  options: Readonly<Record<string, '0' | '1'>>;
  /** Control files that exist only at the top level. Written before the tracer starts; the journal restores them. */
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
  /** True: skip the setting if the kernel lacks the file. Otherwise the tracer is unavailable without the file. */
  optional?: boolean;
}

/** Which functions to trace. Globs consist of letters, digits and `_.$*?`, so they can't contain filter commands. */
export interface FunctionFilter {
  /** If empty, all functions are traced; the config must request this with `unfiltered`. */
  functions: readonly string[];
  notrace: readonly string[];
  /** Host pids of the tasks to trace, together with children that they create later. Empty: all tasks. */
  pids: readonly number[];
  /**
   * Only for function_graph; `function` ignores it. 1 traces only the functions themselves. A larger number also traces
   * the functions they call, down to this many levels, and instruments every function of the kernel. 0 means unlimited.
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
