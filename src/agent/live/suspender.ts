/**
 * Suspends probes of a buffer. A suspended probe still handles events from before the suspension. Afterwards, the agent
 * drops the probe's open operations (begun but not ended).
 */
import type { EventPlan } from '../plan/plan.ts';

/** If an event is at least this old when a tick begins, the tick processes the event. */
const SETTLED_AFTER_NS = 10e6;

export interface Suspender {
  /** Makes the kernel stop recording the events that no other probe reads. */
  suspend(probe: string): void;
  resume(probe: string): void;
  beforeTick(): void;
}

/** `now`: time of the trace clock. */
export function makeSuspender(
  plan: () => EventPlan,
  switchEvents: (events: readonly string[], isOn: boolean) => void,
  now: () => number,
): Suspender {
  /** Start of the suspension in ns, for probes whose earlier events may still be in the buffer. */
  const leaving = new Map<string, number>();
  let tickedNs = 0;
  const detach = (probe: string): void => {
    const sinceNs = leaving.get(probe);
    if (leaving.delete(probe) && sinceNs !== undefined) plan().detach(probe, sinceNs);
  };
  return {
    suspend: (probe) => {
      switchEvents(plan().suspend(probe), false);
      leaving.set(probe, now());
    },
    resume: (probe) => {
      detach(probe);
      switchEvents(plan().resume(probe), true);
      plan().attach(probe, now());
    },
    beforeTick: () => {
      for (const [probe, sinceNs] of leaving) if (tickedNs > sinceNs + SETTLED_AFTER_NS) detach(probe);
      tickedNs = now();
    },
  };
}
