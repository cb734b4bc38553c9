import { createRefusals, type RefusalReason, type Refusals } from '../../src/http/server/refusals.ts';
import type { Log } from '../../src/model/log.ts';

/** Makes `Refusals` that count refusals by reason in `totals`. */
export function countedRefusals(
  log: Log,
  now?: () => number,
): { refusals: Refusals; totals: Partial<Record<RefusalReason, number>> } {
  const totals: Partial<Record<RefusalReason, number>> = {};
  const count = (reason: RefusalReason) => {
    totals[reason] = (totals[reason] ?? 0) + 1;
  };
  return { refusals: createRefusals(log, count, now), totals };
}
