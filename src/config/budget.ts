/** The section `budget` of the config: how much CPU time the agent may use before it suspends probes. */
import { z } from 'zod';
import { duration, percent } from './units.ts';

const MS = 1e6;
const SECOND = 1000 * MS;

export interface BudgetConfig {
  /** Maximum CPU time, as a share (0.05 is 5 %) of one CPU or, if `of` is `node`, of all CPUs together. */
  share: number;
  of: 'core' | 'node';
  windowMs: number;
  /** Length of a probe's first suspension. If another one follows soon, the length doubles, up to `longestMs`. */
  suspendMs: number;
  longestMs: number;
}

export function budgetSchema() {
  return z.strictObject({
    cpu: percent({ min: 0.001, max: 64 }).optional(),
    of: z.enum(['core', 'node']).default('core'),
    window: duration({ min: SECOND, max: 600 * SECOND }).prefault('10s'),
    suspend: duration({ min: SECOND, max: 3600 * SECOND }).prefault('30s'),
    suspend_at_most: duration({ min: SECOND, max: 86_400 * SECOND }).prefault('10m'),
  });
}

/** Converts the section to the agent's config. Returns undefined, which means no limit, if `cpu` is not set. */
export function toBudgetConfig(checked: z.output<ReturnType<typeof budgetSchema>>): BudgetConfig | undefined {
  const { cpu, of: unit, window, suspend, suspend_at_most: longest } = checked;
  if (cpu === undefined) return undefined;
  const suspendMs = suspend / MS;
  const longestMs = Math.max(suspendMs, longest / MS);
  return { share: cpu, of: unit, windowMs: window / MS, suspendMs, longestMs };
}
