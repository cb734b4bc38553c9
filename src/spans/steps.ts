/** Determines from a task's absences (periods in which the task did not run) when the task ran, waited or slept. */
import type { TimestampNs } from '../model/time.ts';
import type { Absence, AbsenceRing } from './absence-ring.ts';

/** Maximum number of absences to examine per task. If a period has more, only the end of the period is explained. */
const MOST_ABSENCES = 4096;

export interface Step {
  kind: 'run' | 'wait' | 'sleep';
  startNs: TimestampNs;
  endNs: TimestampNs;
  /** The absence of a wait or sleep, or before a run; undefined if the run began before the period. */
  absence: Absence | undefined;
}

/** Returns the steps of a task that ran at `toNs`, oldest first; undefined if unknown. A gap is an unknown time. */
export function stepsOf(
  ring: AbsenceRing,
  pid: number,
  fromNs: TimestampNs,
  toNs: TimestampNs,
): Step[] | undefined {
  const { absences, whole } = ring.since(pid, fromNs, MOST_ABSENCES);
  if (absences.length === 0 && !(whole && ring.commOf(pid) !== '')) return undefined;
  const steps: Step[] = [];
  const add = (kind: Step['kind'], startNs: number, endNs: number, absence: Absence | undefined): void => {
    const from = Math.max(startNs, fromNs);
    if (endNs > from) steps.push({ kind, startNs: from, endNs, absence });
  };
  let freeNs = toNs;
  for (const absence of absences) {
    const { outNs } = absence;
    if (outNs >= freeNs) continue;
    const inNs = Math.min(absence.inNs, freeNs);
    add('run', inNs, freeNs, absence);
    freeNs = outNs;
    if (isHidden(absence)) continue;
    const runnableNs = Math.min(runnableAt(absence), inNs);
    add('wait', runnableNs, inNs, absence);
    // Without a recorded wake-up, the length of a sleep is known only if both switches were recorded.
    if (absence.runnableNs !== 0 || (absence.isSeen && outNs !== 0)) add('sleep', outNs, runnableNs, absence);
    if (freeNs <= fromNs) break;
  }
  if (whole) add('run', fromNs, freeNs, undefined);
  return steps.reverse();
}

/** Whether a runnable task lost its CPU and no event shows when it returned, so the length of its wait is unknown. */
export function isHidden({ isSeen, state, outNs }: Absence): boolean {
  return !isSeen && state === 0 && outNs !== 0;
}

function runnableAt({ outNs, runnableNs, inNs, state }: Absence): TimestampNs {
  const slept = state !== 0 || outNs === 0;
  return slept ? runnableNs || inNs : outNs;
}
