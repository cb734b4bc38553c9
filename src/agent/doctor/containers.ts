/** Which containers this agent recognises, for `doctor`. */
import { openContainerTable } from '../../host/container-table.ts';
import { type ContainersConfig, FIRST_CONTAINER } from '../../model/containers.ts';

export interface ContainersSurvey {
  /** Why no container is recognised; '' if they are. */
  reason: string;
  /** Containers and units with tasks. */
  count: number;
  notes: readonly string[];
}

/** `isHosts`: whether ids in /proc are those of the kernel's events. */
export function surveyContainers(config: ContainersConfig, isHosts: boolean): ContainersSurvey {
  const table = openContainerTable(config);
  table.procIsHosts(isHosts);
  const count = table.slots().filter((slot) => slot >= FIRST_CONTAINER).length;
  return { reason: table.problem(), count, notes: table.notes() };
}
