/** Options of tracers that use much CPU time, for which the config must name the CPUs. */
import type { z } from 'zod';
import { formatCpuList } from '../../config/units/quantity.ts';
import type { Knob } from '../../model/tracer.ts';
import type { CommonOptions } from '../probe.ts';

export interface CpuOptions extends CommonOptions {
  /** Undefined only if the probe is disabled. */
  cpus?: readonly number[] | undefined;
}

const US_PER_NS = 1e-3;

/** Rejects an enabled probe without `cpus`. The error message contains `cost`: what the tracer costs each CPU. */
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
      message: `list the CPUs to run on, as in "2-3"; each of them loses time: ${cost}`,
    });
  };
}

export function cpuListKnob(file: string, cpus: readonly number[] | undefined): Knob {
  return { file, value: formatCpuList(cpus ?? []) };
}

export function microsecondsKnob(file: string, ns: number): Knob {
  return { file, value: String(Math.round(ns * US_PER_NS)) };
}
