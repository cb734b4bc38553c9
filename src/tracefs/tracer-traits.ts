/**
 * The kernel's tracers (`available_tracers`) that the agent can run, and what each shares with others, as data. Sources:
 * kernel/trace/trace_osnoise.c, trace_hwlat.c, trace_sched_wakeup.c, trace_irqsoff.c, trace_functions_graph.c.
 */

export interface TracerTraits {
  /** The kernel runs only one tracer of a group at a time, or all of the group share one set of settings. */
  group?: 'osnoise' | 'hwlat' | 'wakeup' | 'irqsoff';
  /** It drops what is shorter than `tracing_thresh`. */
  obeysThreshold?: true;
  /** It takes `tracing_thresh` for its own threshold, and without one reports more. */
  takesThreshold?: true;
  /** It sets `tracing_thresh` while it runs. */
  setsThreshold?: true;
  /** It works as `osnoise/options` says. */
  hasOsnoiseOptions?: true;
  /** Files at the top level that the kernel itself changes while it runs. */
  changes?: readonly string[];
  /** It records calls and returns: filtered by depth and by `set_graph_function`, and its text has columns of its own. */
  isGraph?: true;
}

const WAKEUP: TracerTraits = { group: 'wakeup', obeysThreshold: true };
const IRQSOFF: TracerTraits = { group: 'irqsoff', obeysThreshold: true };

/** Each may run in an instance named after it, and so may be left there by a killed agent. */
const TRAITS: Readonly<Record<string, TracerTraits>> = {
  function: {},
  function_graph: { isGraph: true, obeysThreshold: true },
  osnoise: { group: 'osnoise', hasOsnoiseOptions: true, takesThreshold: true },
  timerlat: { group: 'osnoise', hasOsnoiseOptions: true },
  hwlat: { group: 'hwlat', setsThreshold: true, changes: ['hwlat_detector/mode'] },
  blk: {},
  nop: {},
  wakeup: WAKEUP,
  wakeup_rt: WAKEUP,
  wakeup_dl: WAKEUP,
  irqsoff: IRQSOFF,
  preemptoff: IRQSOFF,
  preemptirqsoff: IRQSOFF,
};

export const TRACERS: readonly string[] = Object.keys(TRAITS);

export function traitsOf(tracer: string): TracerTraits {
  return TRAITS[tracer] ?? {};
}

/** The tracers that exclude each other with this one, itself included; empty if there are none. */
export function groupOf(tracer: string): readonly string[] {
  const { group } = traitsOf(tracer);
  return group === undefined ? [] : TRACERS.filter((name) => TRAITS[name].group === group);
}
