/** Names of the kernel's tracers (`available_tracers`). */

import { LATENCY_TRACERS } from '../model/tracer.ts';

/** Those that may run in an instance named after them, and so may be left there by a killed agent. */
export const TRACERS: readonly string[] = [
  'function',
  'function_graph',
  'osnoise',
  'timerlat',
  'hwlat',
  'blk',
  'nop',
  ...LATENCY_TRACERS,
];

export function isLatencyTracer(tracer: string): boolean {
  return (LATENCY_TRACERS as readonly string[]).includes(tracer);
}
