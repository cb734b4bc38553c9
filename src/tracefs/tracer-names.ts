/** Names of the kernel's tracers (`available_tracers`). */

import { LATENCY_TRACERS } from '../model/tracer.ts';

/** Tracers that can run in an instance named after them, which a killed agent may leave behind. */
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
