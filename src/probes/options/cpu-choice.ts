/** Options of tracers that take CPU time from other tasks: the config must name their CPUs. */
import type { z } from 'zod';
import { formatCpuList } from '../../config/units/quantity.ts';
import type { Knob } from '../../model/tracer.ts';
import type { CommonOptions } from '../probe.ts';

export interface CpuOptions extends CommonOptions {
  /** CPUs to run on; undefined only if the probe is off. */
  cpus?: readonly number[] | undefined;
}

const US_PER_NS = 1e-3;

/** Refuses a probe that is on without `cpus`; `cost` says what each of those CPUs pays. */
export function mustNameCpus(cost: string): z.core.CheckFn<{
  enabled: boolean;
  cpus?: readonly number[] | undefined;
}> {
  return ({ value, issues }) => {
    if (!value.enabled || (value.cpus !== undefined && value.cpus.length > 0)) return;
    issues.push({
      code: 'custom',
      path: ['cpus'],
      input: value.cpus,
      message: `names the CPUs to run on, as in "2-3", because each pays: ${cost}`,
    });
  };
}

/** Setting of a control file that lists CPUs in the kernel's format. */
export function cpuListKnob(file: string, cpus: readonly number[] | undefined): Knob {
  return { file, value: formatCpuList(cpus ?? []) };
}

/** Setting of a control file that counts microseconds. */
export function microsecondsKnob(file: string, ns: number): Knob {
  return { file, value: String(Math.round(ns * US_PER_NS)) };
}
