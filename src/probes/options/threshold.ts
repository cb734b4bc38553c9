/**
 * Detects conflicts about the kernel's `tracing_thresh`, which all tracers share. If one probe sets a threshold,
 * function_graph no longer records calls that are shorter than the threshold, and latency tracers record every latency
 * above the threshold instead of only the longest.
 */
import { LATENCY_TRACERS } from '../../model/tracer.ts';
import type { Conflict } from '../probe.ts';

const HIDDEN_FROM = ['function_graph', ...LATENCY_TRACERS];

/** Returns a conflict with the first enabled probe in `HIDDEN_FROM`; undefined if none is enabled. */
export function thresholdClash(others: ReadonlyMap<string, unknown>): Conflict | undefined {
  const other = HIDDEN_FROM.find((name) => others.has(name));
  if (other === undefined) return undefined;
  return {
    with: other,
    why: `the kernel's tracing_thresh applies to both, and ${other} would show nothing below it`,
  };
}
