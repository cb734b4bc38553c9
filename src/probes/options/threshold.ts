/**
 * Detects conflicts about the kernel's `tracing_thresh`, which all tracers share. With a threshold, function_graph
 * omits shorter calls, and latency tracers record every longer latency instead of only the longest.
 */
import { LATENCY_TRACERS } from '../../model/tracer.ts';
import type { Conflict } from '../probe.ts';

const HIDDEN_FROM = ['function_graph', ...LATENCY_TRACERS];

/** Returns a conflict with an enabled probe in `HIDDEN_FROM`. */
export function thresholdClash(others: ReadonlyMap<string, unknown>): Conflict | undefined {
  const other = HIDDEN_FROM.find((name) => others.has(name));
  if (other === undefined) return undefined;
  return {
    with: other,
    why: `the kernel's tracing_thresh applies to both, and ${other} would show nothing below it`,
  };
}
