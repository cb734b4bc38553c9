/**
 * Adapts a plan to recordings with another clock than the agent's: converts their stamps to nanoseconds, and removes
 * duration metrics where stamps are not times.
 */
import type { FamilySnapshot } from '../../model/metric.ts';
import type { EventPlan } from '../plan/plan.ts';

/** `nsPerStamp`: nanoseconds per unit of the stamp. */
export function inNanoseconds(plan: EventPlan, nsPerStamp: number): EventPlan {
  if (nsPerStamp === 1) return plan;
  const { dispatcher } = plan;
  return {
    ...plan,
    dispatcher: {
      ...dispatcher,
      call: (slot, record) => {
        // The decoder sets the stamp for every event, so it is converted once.
        record.timestampNs *= nsPerStamp;
        dispatcher.call(slot, record);
      },
    },
    onLoss: (cpu, untilNs) => plan.onLoss(cpu, untilNs * nsPerStamp),
  };
}

/** The metric families that do not depend on durations between event stamps. */
export function withoutDurations(families: readonly FamilySnapshot[]): FamilySnapshot[] {
  return families.filter(({ spec: { unit, ownTime } }) => unit !== 'seconds' || ownTime === true);
}
