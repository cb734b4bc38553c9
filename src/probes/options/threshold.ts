/**
 * `tracing_thresh` is one file for all tracers of the kernel. A probe that sets it hides shorter operations from probes
 * that should show all: function_graph drops shorter calls, latency tracers no longer keep the longest.
 */
import { LATENCY_TRACERS } from '../../model/tracer.ts';
import type { Conflict } from '../probe.ts';

const HIDDEN_FROM = ['function_graph', ...LATENCY_TRACERS];

/** Finds the first probe among those that are on (by name) that a threshold would make blind. */
export function thresholdClash(others: ReadonlyMap<string, unknown>): Conflict | undefined {
  const other = HIDDEN_FROM.find((name) => others.has(name));
  if (other === undefined) return undefined;
  return {
    with: other,
    why: `the kernel's tracing_thresh applies to both, and ${other} would show nothing below it`,
  };
}
