/** The tracers that the agent can run, and the system-wide settings that they use. */

export interface TracerTraits {
  /** Tracers of the same group share settings, or the kernel runs only one of them at a time. */
  group?: 'osnoise' | 'hwlat' | 'wakeup' | 'irqsoff';
  /** The tracer drops durations below `tracing_thresh`. */
  obeysThreshold?: true;
  /** The tracer ignores noise shorter than `tracing_thresh`; 0 means the tracer's default threshold. */
  takesThreshold?: true;
  /** While the tracer runs, the kernel sets `tracing_thresh` to the tracer's own threshold. */
  setsThreshold?: true;
  /** The tracer uses `osnoise/options`. */
  hasOsnoiseOptions?: true;
  /** Files at the top level that the kernel itself changes while the tracer runs. */
  changes?: readonly string[];
  /** The tracer records calls and returns of functions, and can be filtered with `set_graph_function`. */
  isGraph?: true;
}

const WAKEUP: TracerTraits = { group: 'wakeup', obeysThreshold: true };
const IRQSOFF: TracerTraits = { group: 'irqsoff', obeysThreshold: true };

/** Must contain every tracer that the agent runs, because cleanup removes only the instances of these tracers. */
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

/** Returns all tracers of the same group, including `tracer`. Empty if the tracer has no group. */
export function groupOf(tracer: string): readonly string[] {
  const { group } = traitsOf(tracer);
  return group === undefined ? [] : TRACERS.filter((name) => TRAITS[name].group === group);
}
