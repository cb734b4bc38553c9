/** Finds the outermost container or systemd unit in the path of a control group. Inner groups can have any name. */
import type { ContainerLabels } from '../model/containers.ts';
import { containerInPath } from './container-paths.ts';

export interface TaskGroup {
  /** Id of the container, or name of the unit. Identifies the group even if its path changes. */
  key: string;
  /** Path of the container's or unit's own group. */
  path: string;
  /** The pod's uid as in the name of its log directory; '' if the group is in no pod. */
  podUid: string;
  kind: 'container' | 'unit';
}

/** Matches the group of a static pod. Its name contains a hash instead of a uid. */
const STATIC_POD = /[-/]pod([0-9a-f]{32})(?:\.slice)?\//;
/** Matches the slice of a user. All sessions and services of the user count as one unit. */
const USER_SLICE = /^user-\d+\.slice$/;
const UNIT = /^[^/]{1,120}\.(?:service|scope)$/;
const INIT = 'init.scope';
/** `conmon`, the monitor program of a container, counts as a part of the system. */
const MONITOR = /conmon/;

/** Returns the container or unit that a control group belongs to, or undefined if it belongs to neither. */
export function taskGroupOf(path: string): TaskGroup | undefined {
  const container = containerInPath(path);
  if (container !== undefined) {
    const { containerId: key, podUid, group } = container;
    return { key, path: group, podUid: podUid || (STATIC_POD.exec(group)?.[1] ?? ''), kind: 'container' };
  }
  const parts = path.split('/');
  const at = parts.findIndex((part) => USER_SLICE.test(part) || UNIT.test(part));
  if (at < 0 || parts[at] === INIT || MONITOR.test(parts[at])) return undefined;
  return { key: parts[at], path: parts.slice(0, at + 1).join('/'), podUid: '', kind: 'unit' };
}

const SHORT_ID = 12;

/** Returns the name of the unit, or the ids of the pod and the container. */
export function plainLabels({ kind, key, podUid }: TaskGroup): ContainerLabels {
  return ['', podUid, kind === 'unit' ? key : key.slice(0, SHORT_ID)];
}

/** Returns the task's path in a hierarchy, from the text of /proc/PID/cgroup. Undefined if there is none. */
export function pathIn(cgroups: string, hierarchy: number): string | undefined {
  const start = `${hierarchy}:`;
  const line = cgroups.split('\n').find((one) => one.startsWith(start));
  return line?.slice(line.indexOf(':', start.length) + 1);
}
