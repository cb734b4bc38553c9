/**
 * Containers by the paths of their control groups: text of `/proc/PID/cgroup` in (cgroups(7): `ID:CONTROLLERS:PATH`, one
 * line for version 2, several for 1 and for both together), ids of the container and of its pod out.
 *
 * The outermost container counts. It is the one that the host's runtime has made, and its path cannot be forged: within
 * it whoever is root there may make groups of any name.
 */

export interface ContainerIds {
  containerId: string;
  /** '' where it is in no pod, or its pod's uid is not in the path. */
  podUid: string;
}

/** What runtimes make of the 64 digits: `ID`, `docker-ID.scope`, `crio-ID`, `SLICE:cri-containerd:ID`. */
const CONTAINER = /^(?:(?<runtime>[A-Za-z][\w.-]{0,100})[-:])?(?<id>[0-9a-f]{64})(?:\.scope)?$/;
/** AWS Fargate: 32 digits and a number, below `/ecs/`. */
const FARGATE = /^[0-9a-f]{32}-\d{1,20}$/;
/** Of kubelet's cgroupfs driver, with dashes, and of its systemd driver, with underscores, for a dash parts slices. */
const POD =
  /(?:^|[-_])pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})(?:\.slice)?$/;
/** Runtimes' own programs beside a container: its monitor is not in it. */
const BESIDE = /conmon/;
const DELETED = ' (deleted)';
/** Longer paths do not come from runtimes. */
const LONGEST_PATH = 4096;

/** Undefined where no line names a container. */
export function containerOf(cgroups: string): ContainerIds | undefined {
  let found: ContainerIds | undefined;
  for (const line of cgroups.split('\n')) {
    const path = line.slice(line.indexOf(':', line.indexOf(':') + 1) + 1);
    const ids = path.length > LONGEST_PATH ? undefined : inPath(path);
    if (ids === undefined) continue;
    if (ids.podUid !== '') return ids;
    found ??= ids;
  }
  return found;
}

function inPath(path: string): ContainerIds | undefined {
  const whole = path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path;
  const parts = whole.split('/');
  let podUid = '';
  for (const part of parts) {
    // `SLICE:PREFIX:ID` where a runtime takes a systemd name for a path: the slice names the pod.
    const [slice, ...rest] = part.split(':');
    podUid = podIn(slice) || podUid;
    const last = rest.length > 0 ? rest.join('-') : part;
    const match = CONTAINER.exec(last);
    if (match?.groups !== undefined) {
      if (BESIDE.test(match.groups.runtime ?? '')) return undefined;
      return { containerId: match.groups.id, podUid };
    }
    if (parts[1] === 'ecs' && FARGATE.test(part)) return { containerId: part, podUid };
  }
  return undefined;
}

/**
 * The uid in the name of a pod's group. Pods that the kubelet starts from files have a hash there, by which the API does
 * not know them: none.
 */
function podIn(part: string): string {
  return POD.exec(part)?.[1].replaceAll('_', '-') ?? '';
}
