import { callAlways } from '../../decode/dispatch.ts';
import { makeHistoryRecorder, type RecordedHistory } from '../../history/recorded.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { EventPlan } from '../plan/plan.ts';

/** Returns a plan whose handlers also record the history. Call `end` after the last event. */
export function recordHistory(
  plan: EventPlan,
  snapshot: () => MetricSnapshot,
): { plan: EventPlan; end?(): RecordedHistory } {
  const recorder = makeHistoryRecorder();
  const { dispatcher } = plan;
  return {
    plan: {
      ...plan,
      dispatcher: callAlways(dispatcher, (slot, record) => {
        if (record.timestampNs >= recorder.nextNs) recorder.cut(record.timestampNs, snapshot);
        dispatcher.call(slot, record);
      }),
    },
    end: () => recorder.end(snapshot),
  };
}
