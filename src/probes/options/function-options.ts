/** Options of the probes `function` and `function_graph`: which functions and tasks to trace. */
import type { SchemaKit } from '../../config/units.ts';
import type { FunctionFilter } from '../../model/tracer.ts';
import type { CommonOptions, KernelOffer, NameList } from '../probe.ts';

export interface FunctionOptions extends CommonOptions, Omit<FunctionFilter, 'maxDepth'> {
  /** Allows tracing every kernel function. */
  unfiltered: boolean;
}

const LARGEST_PID = 4_194_304;

export function functionKeys({ globs, z }: SchemaKit) {
  return {
    functions: globs('function').prefault([]),
    notrace: globs('function').prefault([]),
    pids: z.array(z.int().min(1).max(LARGEST_PID)).max(1000).default([]),
    unfiltered: z.boolean().default(false),
  };
}

/** Requires functions, unless `unfiltered` allows all. */
export const mustChoose = {
  check: (options: { enabled: boolean; functions: readonly string[]; unfiltered: boolean }): boolean =>
    !options.enabled || options.functions.length > 0 || options.unfiltered,
  problem: {
    path: ['functions'],
    message:
      'list at least one function to trace, as in ["vfs_fsync*"]; tracing every function of the kernel slows the ' +
      'whole machine down and requires unfiltered: true',
  },
};

export function functionFilter(options: FunctionOptions, maxDepth: number): FunctionFilter {
  const { functions, notrace, pids } = options;
  return { functions, notrace, pids, maxDepth };
}

/** Returns the globs in the config. The agent reports globs that match no function. */
export function functionNames({ functions, notrace }: FunctionOptions, kernel: KernelOffer): NameList[] {
  const offered = functions.length + notrace.length > 0 ? kernel.functions?.() : undefined;
  return [
    { key: 'functions', globs: functions, kind: 'function', offered },
    { key: 'notrace', globs: notrace, kind: 'function', offered },
  ];
}
