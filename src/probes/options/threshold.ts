/**
 * `tracing_thresh` is one file for all tracers of the kernel. Those that set it hide what is below it from those that
 * should show everything: function_graph drops shorter calls, the latency tracers no longer keep the longest.
 */
import { LATENCY_TRACERS } from '../../model/tracer.ts';
import type { Conflict } from '../probe.ts';

const HIDDEN_FROM = ['function_graph', ...LATENCY_TRACERS];

/** The first of the probes that are on (by name) which a threshold would make blind. */
export function thresholdClash(others: ReadonlyMap<string, unknown>): Conflict | undefined {
  const other = HIDDEN_FROM.find((name) => others.has(name));
  if (other === undefined) return undefined;
  return {
    with: other,
    why: `its threshold is the kernel's one tracing_thresh, below which ${other} would show nothing`,
  };
}
