/** Reads the control groups of this machine (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/cgroups.rst). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerUsage } from '../model/containers.ts';
import { errnoOf } from '../model/errors.ts';

export interface CgroupHierarchy {
  /** Directory of the root group. */
  root: string;
  /** Number of the hierarchy in the kernel's events and in /proc/PID/cgroup; 0 for cgroup v2. */
  id: number;
  version: 1 | 2;
}

/** Controllers of cgroup v1 with groups of containers. `cpu` is first, because its groups report throttling. */
const CONTROLLERS = ['cpu', 'pids', 'memory'];
/** Depth and number of groups are limited, because a container can create and nest any number of groups. */
const DEEPEST = 24;
const MOST_GROUPS = 20_000;

/** Returns the hierarchy of container groups, or why it is not found. `ownCgroups`: text of /proc/self/cgroup. */
export function findHierarchy(cgroupDir: string, ownCgroups: string): CgroupHierarchy | string {
  if (existsSync(join(cgroupDir, 'cgroup.controllers'))) return { root: cgroupDir, id: 0, version: 2 };
  for (const controller of CONTROLLERS) {
    const line = new RegExp(`^(\\d+):((?:[^:\\n]*,)?${controller}(?:,[^:\\n]*)?):`, 'm').exec(ownCgroups);
    if (line === null) continue;
    const root = [line[2], controller].map((name) => join(cgroupDir, name)).find(existsSync);
    if (root !== undefined) return { root, id: Number(line[1]), version: 1 };
  }
  return `${cgroupDir} is not a cgroup mount: mount the cgroups of the host there, read-only`;
}

/** Returns the paths of all groups. The path of the root group is ''. */
export function groupsOf({ root }: CgroupHierarchy): string[] {
  const paths = [''];
  for (let at = 0; at < paths.length; at++) {
    const path = paths[at];
    if (path.split('/').length > DEEPEST) continue;
    for (const entry of childrenOf(join(root, path)))
      if (paths.length < MOST_GROUPS) paths.push(`${path}/${entry}`);
  }
  return paths;
}

function childrenOf(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return [];
  }
}

/** Returns thread ids; none if the group is gone. In cgroup v2, a thread outside our pid namespace has the id 0. */
export function threadsIn({ root, version }: CgroupHierarchy, path: string): number[] {
  const text = readOr(join(root, path, version === 2 ? 'cgroup.threads' : 'tasks'), '');
  return text === '' ? [] : text.trimEnd().split('\n').map(Number);
}

export function groupExists({ root }: CgroupHierarchy, path: string): boolean {
  return existsSync(join(root, path));
}

/** Returns totals since the creation of the group: throttled time, and time in which a task waited for a CPU. */
export function usageOf({ root, version }: CgroupHierarchy, path: string): ContainerUsage {
  const stat = readOr(join(root, path, 'cpu.stat'), '');
  const throttled = (version === 2 ? /^throttled_usec (\d+)$/m : /^throttled_time (\d+)$/m).exec(stat);
  // cpu.pressure exists since Linux 4.20.
  const pressure = /^some .*total=(\d+)$/m.exec(readOr(join(root, path, 'cpu.pressure'), ''));
  return {
    ...(throttled && { throttledSeconds: Number(throttled[1]) / (version === 2 ? 1e6 : 1e9) }),
    ...(pressure && { pressureSeconds: Number(pressure[1]) / 1e6 }),
  };
}

/** Returns the content of a file, or `otherwise` if the file cannot be read. */
export function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return otherwise;
  }
}
