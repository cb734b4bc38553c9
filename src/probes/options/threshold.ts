/**
 * All kernel tracers share one `tracing_thresh`. If one probe sets it, other probes miss shorter operations:
 * function_graph drops shorter calls, and latency tracers no longer keep the longest latency.
 */
import { LATENCY_TRACERS } from '../../model/tracer.ts';
import type { Conflict } from '../probe.ts';

const HIDDEN_FROM = ['function_graph', ...LATENCY_TRACERS];

/** Returns a conflict with the first enabled probe that would miss operations below the threshold. */
export function thresholdClash(others: ReadonlyMap<string, unknown>): Conflict | undefined {
  const other = HIDDEN_FROM.find((name) => others.has(name));
  if (other === undefined) return undefined;
  return {
    with: other,
    why: `the kernel's tracing_thresh applies to both, and ${other} would show nothing below it`,
  };
}
