/**
 * Names of containers in Kubernetes, without its API. The kubelet keeps the logs of a pod in a directory
 * NAMESPACE_POD_UID, and mounts a file of its own into each container, whose path has the container's name:
 * /var/lib/kubelet/pods/UID/containers/NAME/… (the termination log). Mounts of a task are in /proc/PID/mountinfo.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerLabels } from '../model/containers.ts';
import { errnoOf } from '../model/errors.ts';
import { type CgroupHierarchy, readOr, threadsIn } from './cgroups.ts';
import type { SlotEntry } from './container-slots.ts';

interface PodNames {
  namespace: string;
  pod: string;
  /** Directories of its containers. */
  containers: readonly string[];
}

/** A container gets its mounts some time after its first task has entered its group. */
const NAMED_AFTER_MS = 1000;
/** Without a name for so long, a container is called by its id. */
const NAMELESS_AFTER_MS = 5000;
const SHORT_ID = 12;

/**
 * Labels of a container or unit; undefined while its name may yet be found. Containers of pods have names in Kubernetes;
 * all others are called by their id. The container that holds the namespaces of a pod has the name ''.
 */
export function labelsOf(
  { group, sinceMs }: SlotEntry,
  where: { hierarchy: CgroupHierarchy; podLogs: string; procDir: string; nowMs: number },
): ContainerLabels | undefined {
  if (group.kind === 'unit') return ['', '', group.key];
  const shortId = group.key.slice(0, SHORT_ID);
  if (group.podUid === '') return ['', '', shortId];
  const age = where.nowMs - sinceMs;
  if (age < NAMED_AFTER_MS) return undefined;
  const pod = podNames(where.podLogs, group.podUid);
  const inGroup = (path: string) => threadsIn(where.hierarchy, path);
  const [tid] = [...inGroup(group.path), ...inGroup(`${group.path}/container`)];
  const name = tid === undefined ? undefined : containerNameOf(where.procDir, tid);
  if ((pod === undefined || name === undefined) && age < NAMELESS_AFTER_MS) return undefined;
  const only = pod?.containers.length === 1 && name === undefined ? pod.containers[0] : undefined;
  return [pod?.namespace ?? '', pod?.pod ?? group.podUid, name ?? only ?? shortId];
}

/** Names in Kubernetes have no underscore. */
const POD_DIRECTORY = /^([a-z0-9.-]+)_([a-z0-9.-]+)_([0-9a-f-]{32,36})$/;
const TERMINATION_LOG = /\/pods\/[0-9a-f-]{32,36}\/containers\/([a-z0-9-]+)\/[^/ ]+ /;

/** Finds the names of a pod; undefined if its directory is missing. `podLogs` is usually /var/log/pods. */
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
 * Name of the container that a task is in: undefined if its mounts cannot be read (any more), '' if the kubelet has
 * mounted nothing into it, as for the container that holds a pod's namespaces.
 */
function containerNameOf(procDir: string, tid: number): string | undefined {
  const mounts = readOr(join(procDir, String(tid), 'mountinfo'), '');
  return mounts === '' ? undefined : (TERMINATION_LOG.exec(mounts)?.[1] ?? '');
}

/** Why the directory of logs gives no names; '' if it can be read. */
export function podLogsProblem(podLogs: string): string {
  try {
    readdirSync(podLogs);
    return '';
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return `${podLogs} cannot be read (${errnoOf(error)})`;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return [];
  }
}
