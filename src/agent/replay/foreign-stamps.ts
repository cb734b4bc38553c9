/**
 * Adapts a replay to recordings with another clock than the agent's. Converts timestamps to nanoseconds, and removes
 * duration metrics if the timestamps are not times (for example with the clock `counter`).
 */
import { callAlways } from '../../decode/dispatch.ts';
import type { FamilySnapshot } from '../../model/metric.ts';
import type { EventPlan } from '../plan/plan.ts';

/** `nsPerStamp`: nanoseconds per unit of the timestamps. */
export function inNanoseconds(plan: EventPlan, nsPerStamp: number): EventPlan {
  if (nsPerStamp === 1) return plan;
  const { dispatcher } = plan;
  return {
    ...plan,
    dispatcher: callAlways(dispatcher, (slot, record) => {
      // Multiply in place, because the decoder sets the timestamp again for every event.
      record.timestampNs *= nsPerStamp;
      dispatcher.call(slot, record);
    }),
    onLoss: (cpu, untilNs) => plan.onLoss(cpu, untilNs * nsPerStamp),
  };
}

/** The metric families that do not depend on durations between event timestamps. */
export function withoutDurations(families: readonly FamilySnapshot[]): FamilySnapshot[] {
  return families.filter(({ spec: { unit, ownTime } }) => unit !== 'seconds' || ownTime === true);
}
