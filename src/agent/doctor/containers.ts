/** Counts the containers that this agent recognises, for `doctor`. */
import { openContainerTable } from '../../host/container-table.ts';
import { type ContainersConfig, FIRST_CONTAINER } from '../../model/containers.ts';

export interface ContainersSurvey {
  /** Why the agent recognises no container; '' if it does. */
  reason: string;
  /** Number of containers and units that have tasks. */
  count: number;
  notes: readonly string[];
}

/** `isHosts`: whether /proc has the same ids as the kernel's events. */
export function surveyContainers(config: ContainersConfig, isHosts: boolean): ContainersSurvey {
  const table = openContainerTable(config);
  table.procIsHosts(isHosts);
  const count = table.slots().filter((slot) => slot >= FIRST_CONTAINER).length;
  return { reason: table.problem(), count, notes: table.notes() };
}
