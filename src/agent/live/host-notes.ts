/** Adds notes about what probes cannot measure, because of how the agent sees this machine. */
import type { ProbeStatus } from '../../model/status.ts';
import { sched } from '../../probes/sched.ts';
import { isPerContainer } from '../plan/containers.ts';
import type { EnabledProbe } from '../plan/plan.ts';

export interface HostNotes {
  /** Why scheduling classes are not known; '' if they are. */
  classProblem: string;
  /** What is missing in metrics by container. */
  containers: readonly string[];
}

/** Adds the notes to the probes that are up. */
export function withHostNotes(
  probes: readonly ProbeStatus[],
  enabled: readonly EnabledProbe[],
  { classProblem, containers }: HostNotes,
): ProbeStatus[] {
  return probes.map((probe) => {
    const ofProbe = enabled.find(
      ({ module, onlyFor }) => module.name === probe.name && onlyFor === undefined,
    );
    const notes = [
      ...(probe.notes ?? []),
      ...(probe.name === sched.name && classProblem !== ''
        ? [`waits of batch and idle tasks count as class "normal": ${classProblem}`]
        : []),
      ...(ofProbe !== undefined && isPerContainer(ofProbe) ? containers : []),
    ];
    return probe.up ? { ...probe, notes } : probe;
  });
}
