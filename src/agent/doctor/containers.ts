/** Counts the containers that the agent recognises on this machine, for `doctor`. */
import { openContainerTable } from '../../host/container-table.ts';
import { type ContainersConfig, FIRST_CONTAINER } from '../../model/containers.ts';

export interface ContainersSurvey {
  /** Why the agent cannot recognise containers; '' if it can. */
  reason: string;
  /** Number of containers and systemd units in which tasks run. */
  count: number;
  notes: readonly string[];
}

/** `isHosts`: whether process ids in /proc are the same as in the kernel's events. */
export function surveyContainers(config: ContainersConfig, isHosts: boolean): ContainersSurvey {
  const table = openContainerTable(config);
  table.procIsHosts(isHosts);
  const count = table.slots().filter((slot) => slot >= FIRST_CONTAINER).length;
  return { reason: table.problem(), count, notes: table.notes() };
}
