/**
 * Recordings by clocks other than the agent's own: a plan whose handlers want nanoseconds enters, one that takes the
 * stamps of such a clock leaves; and metrics without durations where there can be none.
 */
import type { FamilySnapshot } from '../../model/metric.ts';
import type { EventPlan } from '../plan/plan.ts';

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

/** Records of tracers hold what they measured, by a clock of their own. */
const MEASURED_BY_THE_KERNEL = /^ftrace_(function|osnoise|timerlat|hwlat|latency_tracer)_/;

/** Families that say nothing of how long something took by the stamps of events. */
export function withoutDurations(families: readonly FamilySnapshot[]): FamilySnapshot[] {
  return families.filter(
    ({ spec: { name, unit } }) =>
      unit !== 'seconds' || name.startsWith('ftrace_exporter_') || MEASURED_BY_THE_KERNEL.test(name),
  );
}
