/**
 * The tracers of the lab: which of its kernels must have each, and which checks are about it. On the host it decides
 * what runs, in the guest what must be there. Source: kernel/trace/Kconfig, and the configs of Debian's rt kernels.
 */

export interface LabTracer {
  name: string;
  /** First version that has it, so that every later kernel must; undefined: none of the lab's is built with it. */
  since: string | undefined;
  /** Part of the names of the files that check it, `tracer-GROUP.test.ts`; tracers of one kind share one. */
  group: string;
}

export const LAB_TRACERS: readonly LabTracer[] = [
  { name: 'function', since: '5.10', group: 'function' },
  { name: 'function_graph', since: '5.10', group: 'function_graph' },
  { name: 'hwlat', since: '5.10', group: 'hwlat' },
  { name: 'osnoise', since: '5.14', group: 'osnoise' },
  { name: 'timerlat', since: '5.14', group: 'timerlat' },
  { name: 'wakeup', since: '5.10', group: 'wakeup' },
  { name: 'wakeup_rt', since: '5.10', group: 'wakeup' },
  { name: 'wakeup_dl', since: '5.10', group: 'wakeup' },
  { name: 'blk', since: '5.10', group: 'blk' },
  { name: 'irqsoff', since: undefined, group: 'wakeup' },
  { name: 'preemptoff', since: undefined, group: 'wakeup' },
  { name: 'preemptirqsoff', since: undefined, group: 'wakeup' },
];

/** Checks that look at any tracer, and only at those that `--tracer` names. */
const FOR_ALL = ['tracers-offered', 'tracers-differential', 'tracers-capture', 'trace-cmd'];

/** Whether a check of this file name, without its ending, has to run when only these tracers are wanted. */
export function concerns(file: string, wanted: readonly string[]): boolean {
  if (FOR_ALL.includes(file)) return true;
  return LAB_TRACERS.some(({ name, group }) => wanted.includes(name) && file === `tracer-${group}`);
}

/** Whether a kernel of this name (`5.10-rt`) must have a tracer. */
export function mustOffer({ since }: LabTracer, kernel: string): boolean {
  return since !== undefined && !isOlder(kernel, since);
}

/** Versions by number: 5.9 is older than 5.10. */
function isOlder(kernel: string, than: string): boolean {
  const [major, minor] = numbersOf(kernel);
  const [leastMajor, leastMinor] = numbersOf(than);
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

function numbersOf(version: string): number[] {
  return version.split(/[.-]/).slice(0, 2).map(Number);
}
