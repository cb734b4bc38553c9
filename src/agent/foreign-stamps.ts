/**
 * Recordings by clocks other than the agent's own: a plan whose handlers want nanoseconds enters, one that takes the
 * stamps of such a clock leaves; and metrics without durations where there can be none.
 */
import type { FamilySnapshot } from '../model/metric.ts';
import type { EventPlan } from './plan.ts';

/** `nsPerStamp`: nanoseconds a stamp counts. */
export function inNanoseconds(plan: EventPlan, nsPerStamp: number): EventPlan {
  if (nsPerStamp === 1) return plan;
  const { dispatcher } = plan;
  return {
    ...plan,
    dispatcher: {
      ...dispatcher,
      call: (slot, record) => {
        // Set anew for every event, so it is converted once.
        record.timestampNs *= nsPerStamp;
        dispatcher.call(slot, record);
      },
    },
    onLoss: (cpu, untilNs) => plan.onLoss(cpu, untilNs * nsPerStamp),
  };
}

/** Families that say nothing of how long something took. */
export function withoutDurations(families: readonly FamilySnapshot[]): FamilySnapshot[] {
  return families.filter(({ spec }) => spec.unit !== 'seconds' || spec.name.startsWith('ftrace_exporter_'));
}
