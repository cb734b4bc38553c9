/** Adapts a replay to a recording with another trace clock than the agent's. */
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
      // The record can be changed in place, because the decoder sets the timestamp again for every event.
      record.timestampNs *= nsPerStamp;
      dispatcher.call(slot, record);
    }),
    onLoss: (cpu, untilNs) => plan.onLoss(cpu, untilNs * nsPerStamp),
  };
}

/** Leaves out metrics that depend on durations between event timestamps. */
export function withoutDurations(families: readonly FamilySnapshot[]): FamilySnapshot[] {
  return families.filter(({ spec: { unit, ownTime } }) => unit !== 'seconds' || ownTime === true);
}
