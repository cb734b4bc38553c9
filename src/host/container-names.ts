/**
 * Finds the Kubernetes names of pods and containers in two paths: the directory of the pod's logs (NAMESPACE_POD_UID),
 * and the file for termination messages in the container's mounts (/var/lib/kubelet/pods/UID/containers/NAME/…).
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerLabels } from '../model/containers.ts';
import { errnoOf } from '../model/errors.ts';
import { type CgroupHierarchy, readOr, threadsIn } from './cgroups.ts';
import type { SlotEntry } from './container-slots.ts';
import { plainLabels } from './task-groups.ts';

interface PodNames {
  namespace: string;
  pod: string;
  /** Names of the directories with the logs of the pod's containers. */
  containers: readonly string[];
}

/** Age from which mounts are read. The runtime creates them after the first task is in the control group. */
const NAMED_AFTER_MS = 1000;
/** Age from which the agent uses a container's id as its name if no name was found. */
const NAMELESS_AFTER_MS = 5000;

/** Returns the labels of a container or unit; undefined to look again later. The name of a pause container is ''. */
export function labelsOf(
  { group, sinceMs }: SlotEntry,
  where: { hierarchy: CgroupHierarchy; podLogs: string; procDir: string; nowMs: number },
): ContainerLabels | undefined {
  const plain = plainLabels(group);
  if (group.podUid === '') return plain;
  const age = where.nowMs - sinceMs;
  if (age < NAMED_AFTER_MS) return undefined;
  const pod = podNames(where.podLogs, group.podUid);
  const inGroup = (path: string) => threadsIn(where.hierarchy, path);
  const [tid] = [...inGroup(group.path), ...inGroup(`${group.path}/container`)];
  const name = tid === undefined ? undefined : containerNameOf(where.procDir, tid);
  if ((pod === undefined || name === undefined) && age < NAMELESS_AFTER_MS) return undefined;
  const only = pod?.containers.length === 1 && name === undefined ? pod.containers[0] : undefined;
  return [pod?.namespace ?? '', pod?.pod ?? group.podUid, name ?? only ?? plain[2]];
}

/** Matches NAMESPACE_POD_UID. Names of namespaces and pods contain no underscore. */
const POD_DIRECTORY = /^([a-z0-9.-]+)_([a-z0-9.-]+)_([0-9a-f-]{32,36})$/;
const TERMINATION_LOG = /\/pods\/[0-9a-f-]{32,36}\/containers\/([a-z0-9-]+)\/[^/ ]+ /;

/** Returns the names of a pod, or undefined if the pod has no log directory. `podLogs` is usually /var/log/pods. */
function podNames(podLogs: string, uid: string): PodNames | undefined {
  if (uid === '') return undefined;
  for (const entry of namesIn(podLogs)) {
    const match = POD_DIRECTORY.exec(entry);
    if (match?.[3] !== uid) continue;
    return { namespace: match[1], pod: match[2], containers: namesIn(join(podLogs, entry)) };
  }
  return undefined;
}

/**
 * Returns the container's name; undefined if the task's mounts cannot be read. Returns '' for a pod's pause container,
 * because its mounts contain no file for termination messages.
 */
function containerNameOf(procDir: string, tid: number): string | undefined {
  const mounts = readOr(join(procDir, String(tid), 'mountinfo'), '');
  return mounts === '' ? undefined : (TERMINATION_LOG.exec(mounts)?.[1] ?? '');
}

/** Returns why the log directory cannot be read; '' if it can be read. Without this directory, pods have no names. */
export function podLogsProblem(podLogs: string): string {
  try {
    readdirSync(podLogs);
    return '';
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return `${podLogs} cannot be read (${errnoOf(error)})`;
  }
}

/** Returns the names in a directory; none if it cannot be read. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return [];
  }
}
