/** Adds notes about what a probe cannot measure because of the agent's environment. */
import type { ProbeStatus } from '../../model/status.ts';
import { sched } from '../../probes/sched.ts';
import { isPerContainer } from '../plan/containers.ts';
import type { EnabledProbe } from '../plan/plan.ts';

export interface HostNotes {
  /** Why the scheduling classes of tasks are unknown; '' if they are known. */
  classProblem: string;
  /** What is missing in the metrics by container. */
  containers: readonly string[];
}

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
