/** What a task did in a time, from its times off the CPU: it ran, waited for a CPU, slept. */
import type { TimestampNs } from '../model/time.ts';
import type { Absence, AbsenceRing } from './absence-ring.ts';

/** Absences of one task that are looked at; a task with more of them in a time is explained in part. */
const MOST_ABSENCES = 4096;

export interface Step {
  kind: 'run' | 'wait' | 'sleep';
  startNs: TimestampNs;
  endNs: TimestampNs;
  /** The absence that contains the step, or that ended before a run; undefined if the run began before the time. */
  absence: Absence | undefined;
}

/**
 * Steps of a task that ran at `toNs`, oldest first. What is not recorded is a gap between them. Undefined: the task is not
 * remembered.
 */
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
    // Else its end may have been long before, or it did not sleep.
    if (absence.runnableNs !== 0 || (absence.isSeen && outNs !== 0)) add('sleep', outNs, runnableNs, absence);
    if (freeNs <= fromNs) break;
  }
  if (whole) add('run', fromNs, freeNs, undefined);
  return steps.reverse();
}

/** Whether a task lost its CPU and came back at a time that nothing reported: it is not known how long it waited. */
export function isHidden({ isSeen, state, outNs }: Absence): boolean {
  return !isSeen && state === 0 && outNs !== 0;
}

/** When an absent task could have gone on. */
function runnableAt({ outNs, runnableNs, inNs, state }: Absence): TimestampNs {
  const slept = state !== 0 || outNs === 0;
  return slept ? runnableNs || inNs : outNs;
}
