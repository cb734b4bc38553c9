/**
 * Finds the container and the pod of a task in the text of `/proc/PID/cgroup` (cgroups(7)). Of nested containers, finds
 * the outermost one, because root in a container may create groups with any name.
 */

export interface ContainerIds {
  containerId: string;
  /** '' if the container is in no pod, or if the path does not contain the pod's uid. */
  podUid: string;
}

/** Group names that contain a 64-digit container id: `ID`, `docker-ID.scope`, `crio-ID`, `SLICE:cri-containerd:ID`. */
const CONTAINER = /^(?:(?<runtime>[A-Za-z][\w.-]{0,100})[-:])?(?<id>[0-9a-f]{64})(?:\.scope)?$/;
/** Groups of AWS Fargate: 32 digits, a dash and a number, below `/ecs/`. */
const FARGATE = /^[0-9a-f]{32}-\d{1,20}$/;
/** Matches the kubelet's pod groups. With the systemd driver, uids contain underscores instead of dashes. */
const POD =
  /(?:^|[-_])pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})(?:\.slice)?$/;
/** Matches the groups of `conmon`, a monitor program that runs outside the container it monitors. */
const BESIDE = /conmon/;
const DELETED = ' (deleted)';
/** Maximum length of a path. Longer paths are ignored, because runtimes do not create them. */
const LONGEST_PATH = 4096;

/** Returns the container in the text; undefined if there is none. Prefers a line with the uid of a pod. */
export function containerOf(cgroups: string): ContainerIds | undefined {
  let firstIds: ContainerIds | undefined;
  for (const line of cgroups.split('\n')) {
    const path = line.slice(line.indexOf(':', line.indexOf(':') + 1) + 1);
    const container = containerInPath(path);
    if (container === undefined) continue;
    const ids = { containerId: container.containerId, podUid: container.podUid };
    if (ids.podUid !== '') return ids;
    firstIds ??= ids;
  }
  return firstIds;
}

/** A container and the path of its own group. Groups below this path are inside the container. */
export interface ContainerInPath extends ContainerIds {
  group: string;
}

/** Finds the outermost container in the path of a group. Returns undefined if there is none. */
export function containerInPath(path: string): ContainerInPath | undefined {
  if (path.length > LONGEST_PATH) return undefined;
  const whole = path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path;
  const parts = whole.split('/');
  let podUid = '';
  for (const [at, part] of parts.entries()) {
    const group = parts.slice(0, at + 1).join('/');
    // `SLICE:PREFIX:ID`: the kubelet uses the systemd driver, the runtime does not. The slice contains the uid.
    const [slice, ...rest] = part.split(':');
    podUid = podIn(slice) || podUid;
    const last = rest.length > 0 ? rest.join('-') : part;
    const match = CONTAINER.exec(last);
    if (match?.groups !== undefined) {
      if (BESIDE.test(match.groups.runtime ?? '')) return undefined;
      return { containerId: match.groups.id, podUid, group };
    }
    if (parts[1] === 'ecs' && FARGATE.test(part)) return { containerId: part, podUid, group };
  }
  return undefined;
}

/** Returns the pod's uid in a group's name; '' if there is none. Groups of static pods contain a hash instead. */
function podIn(part: string): string {
  return POD.exec(part)?.[1].replaceAll('_', '-') ?? '';
}
