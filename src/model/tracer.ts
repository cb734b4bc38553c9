/** How a tracer is to be set up: data from the probe that reads it to the room that controls tracers. */

/** Tracers that keep nothing but the longest latency they have met. kernel/trace/trace_sched_wakeup.c, trace_irqsoff.c */
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
   * `instance`: kernels that have it have it in instances. `prefer_instance`: some kernels refuse it there, then it
   * runs at the top level. `top`: at the top level only.
   */
  where: 'instance' | 'prefer_instance' | 'top';
  /**
   * How its recording is read. `events`: records like those of any event. `latency`: nothing but the longest latency
   * and the trace that belongs to it. `text`: its records have no format file, so text is all there is.
   */
  reads: 'events' | 'latency' | 'text';
  /** Files of `options/`, set before the tracer is. One that this kernel lacks is passed over. */
  options: Readonly<Record<string, '0' | '1'>>;
  /** Control files that only the top level has. Set before the tracer is, and journaled. */
  knobs: readonly Knob[];
  /** CPUs it records on, by `tracing_cpumask` of its instance; undefined: all. */
  cpumask?: readonly number[];
  functions?: FunctionFilter;
  /** Globs of the whole disks whose block tracing is switched on, for `blk`. */
  blockDevices?: readonly string[];
}

export interface Knob {
  /** Relative to the root of tracefs: `osnoise/cpus`. */
  file: string;
  value: string;
  /** On a kernel without the file it is passed over; else the tracer cannot be had. */
  optional?: boolean;
}

/** Which functions are traced. Globs hold letters, digits, `_`, `.`, `$`, `*`, `?` and nothing that is a command. */
export interface FunctionFilter {
  /** Empty: all of them, which the config must ask for by `unfiltered`. */
  functions: readonly string[];
  notrace: readonly string[];
  /** Host pids of the tasks that are traced, their later children included; empty: all tasks. */
  pids: readonly number[];
  /**
   * function_graph: 1 traces the functions alone; more, also what they call, so many levels deep in all, for which
   * every function of the kernel is armed; 0: however deep. `function` ignores it.
   */
  maxDepth: number;
}

/** A latency tracer has met a latency longer than any since it was last reset. */
export interface LatencyRecord {
  tracer: string;
  latencyNs: number;
  /** Wall clock in milliseconds when it was noticed. */
  atMs: number;
  /** Text of `trace` that belongs to it, cut off at a bound. */
  trace: string;
}
