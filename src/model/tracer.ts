/** How to set up a tracer. Passed from the probe that reads it to the room that controls tracers. */

/** Tracers that keep only the longest latency. kernel/trace/trace_sched_wakeup.c, trace_irqsoff.c */
export const LATENCY_TRACERS = [
  'wakeup',
  'wakeup_rt',
  'wakeup_dl',
  'irqsoff',
  'preemptoff',
  'preemptirqsoff',
] as const;

export interface TracerRequest {
  /** A name of `available_tracers`. Also the label `buffer`, and the end of the instance's name. */
  tracer: string;
  /**
   * `instance`: every kernel that has the tracer allows it in instances. `prefer_instance`: some kernels don't; there it
   * runs at the top level. `top`: only at the top level.
   */
  where: 'instance' | 'prefer_instance' | 'top';
  /**
   * How its recording is read. `events`: records like those of any event. `latency`: only the longest latency and its
   * trace. `text`: its records have no format file, so they are read as text.
   */
  reads: 'events' | 'latency' | 'text';
  /** Files in `options/`, set before the tracer. Files that this kernel lacks are skipped. */
  options: Readonly<Record<string, '0' | '1'>>;
  /** Control files that exist only at the top level. Set before the tracer, and journaled. */
  knobs: readonly Knob[];
  /** CPUs it records on, through `tracing_cpumask` of its instance; undefined for all. */
  cpumask?: readonly number[] | undefined;
  functions?: FunctionFilter;
  /** For `blk`: globs of the whole disks to trace. */
  blockDevices?: readonly string[];
}

export interface Knob {
  /** Relative to the root of tracefs: `osnoise/cpus`. */
  file: string;
  value: string;
  /** Skipped if the kernel lacks the file. Without this, the tracer is unavailable then. */
  optional?: boolean;
}

/** Which functions to trace. Globs consist of letters, digits and `_.$*?`, so they can't contain filter commands. */
export interface FunctionFilter {
  /** Empty: all functions, which the config must request with `unfiltered`. */
  functions: readonly string[];
  notrace: readonly string[];
  /** Host pids of the traced tasks, including their later children; empty for all tasks. */
  pids: readonly number[];
  /**
   * For function_graph (`function` ignores it). 1 traces only the functions themselves. A larger number also traces what
   * they call, down to this many levels, and arms every function of the kernel. 0 means unlimited.
   */
  maxDepth: number;
}

/** The longest latency that a latency tracer has recorded since its last reset. */
export interface LatencyRecord {
  tracer: string;
  latencyNs: number;
  /** Wall clock in milliseconds when the agent noticed it. */
  atMs: number;
  /** Text of the instance's `trace` file, cut at a limit. */
  trace: string;
}
