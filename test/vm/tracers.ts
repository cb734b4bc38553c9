/**
 * The tracers of the lab: which of its kernels must have each, and which checks test it. On the host it decides what
 * runs, in the guest what must exist. Source: kernel/trace/Kconfig, and the configs of Debian's rt kernels.
 */

export interface LabTracer {
  name: string;
  /** The first version that has it; every later kernel must have it, unless `only` names one. */
  since: string;
  /** The only kernel of the lab that is built with it. */
  only?: string;
  /**
   * Files that check the agent with it, without their extension. `tracers-noise` has blk where function_graph is at the
   * top level.
   */
  files: readonly string[];
}

const CALLS = ['tracers-calls'];
const NOISE = ['tracers-noise'];
const WAKEUPS = ['tracers-wakeups'];
const OFF = ['tracers-off'];
/** The kernel with what no distributor builds: irqsoff, preemptoff, preemptirqsoff and user_events. */
export const BUILT = '6.12-latency';

export const LAB_TRACERS: readonly LabTracer[] = [
  { name: 'function', since: '5.10', files: CALLS },
  { name: 'function_graph', since: '5.10', files: CALLS },
  { name: 'hwlat', since: '5.10', files: NOISE },
  { name: 'osnoise', since: '5.14', files: NOISE },
  { name: 'timerlat', since: '5.14', files: CALLS },
  { name: 'wakeup', since: '5.10', files: WAKEUPS },
  { name: 'wakeup_rt', since: '5.10', files: CALLS },
  { name: 'wakeup_dl', since: '5.10', files: WAKEUPS },
  { name: 'blk', since: '5.10', files: [...CALLS, ...NOISE] },
  { name: 'irqsoff', since: '5.10', only: BUILT, files: OFF },
  { name: 'preemptoff', since: '5.10', only: BUILT, files: OFF },
  { name: 'preemptirqsoff', since: '5.10', only: BUILT, files: OFF },
];

/** Checks that can test any tracer, and only test those that `--tracer` names. */
const FOR_ALL = ['tracers-offered', 'tracers-differential', 'tracers-capture', 'trace-cmd'];

/** Whether a check of this file name, without its extension, has to run if only these tracers are wanted. */
export function concerns(file: string, wanted: readonly string[]): boolean {
  if (FOR_ALL.includes(file)) return true;
  return LAB_TRACERS.some(({ name, files }) => wanted.includes(name) && files.includes(file));
}

/** Whether a kernel of this name (`5.10-rt`) must have a tracer. */
export function mustOffer(tracer: LabTracer, kernel: string): boolean {
  return whyNotOffered(tracer, kernel) === undefined;
}

/** Why a kernel of this name need not have a tracer; undefined if it must. */
export function whyNotOffered({ since, only }: LabTracer, kernel: string): string | undefined {
  if (only !== undefined && only !== kernel) return `only ${only} is built with it`;
  return isOlder(kernel, since) ? `it came with ${since}` : undefined;
}

/** Compares versions as numbers: 5.9 is older than 5.10. */
export function isOlder(kernel: string, than: string): boolean {
  const [major, minor] = numbersOf(kernel);
  const [leastMajor, leastMinor] = numbersOf(than);
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

function numbersOf(version: string): number[] {
  return version.split(/[.-]/).slice(0, 2).map(Number);
}
