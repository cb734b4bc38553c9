/** Process and container of a span's task, with the attribute names of OpenTelemetry's semantic conventions. */
import type { ContainerIds } from '../../host/container-paths.ts';
import { makeProcessLookup } from '../../host/processes.ts';
import { type ContainerLabels, type Containers, SURPLUS, UNKNOWN } from '../../model/containers.ts';
import type { ProcessFactsStatus } from '../../model/status.ts';
import type { TaskFacts } from '../../spans/deps.ts';

export interface TaskFactsSource {
  /** Sets whether process ids in /proc are the same as in the trace. Before this call, `of` returns no facts. */
  procIsHosts(isHosts: boolean): void;
  of(tid: number, atNs: number): TaskFacts;
  status(): ProcessFactsStatus;
}

const NOTHING: TaskFacts = { attributes: {}, resource: {} };
const NOT_THE_HOSTS =
  'the agent runs in its own pid namespace: run it in the host’s (hostPID: true in a pod, --pid=host in a container)';

/** `table`: the container table, if the agent has one. For other tasks, reads /proc. */
export function openTaskFacts(options: {
  containers: boolean;
  procDir?: string;
  table?(): Containers | undefined;
}): TaskFactsSource {
  const { containers } = options;
  const lookup = makeProcessLookup(options);
  const withoutContainers = makeProcessLookup({ ...options, containers: false });
  let isHosts = false;
  return {
    procIsHosts: (is) => {
      isHosts = is;
    },
    of: (tid, atNs) => {
      if (!isHosts) return NOTHING;
      const table = options.table?.();
      const slot = containers ? (table?.table[tid] ?? UNKNOWN) : UNKNOWN;
      const process = (slot > SURPLUS ? withoutContainers : lookup).of(tid, atNs);
      const container = slot > SURPLUS ? table?.ids(slot) : process?.container;
      return {
        attributes:
          process === undefined
            ? {}
            : {
                'process.pid': process.pid,
                'process.executable.name': process.executable || undefined,
              },
        resource: container === undefined ? {} : resourceOf(container, table?.labels(slot)),
      };
    },
    status: () => factsOfTasks({ containers }, isHosts),
  };
}

function resourceOf({ containerId, podUid }: ContainerIds, labels: ContainerLabels | undefined) {
  // If the agent cannot read /var/log/pods, the label `pod` is the pod's uid and `namespace` is empty.
  const [namespace, pod, name] = labels?.[0] ? labels : [];
  return {
    'container.id': containerId,
    // If the kubelet starts a pod from a file, the name of the pod's cgroup contains a hash without dashes.
    'k8s.pod.uid': podUid.includes('-') ? podUid : undefined,
    ...(namespace && {
      'k8s.namespace.name': namespace,
      'k8s.pod.name': pod,
      'k8s.container.name': name,
    }),
  };
}

/** Returns which facts are available. */
export function factsOfTasks(
  { containers }: { containers: boolean },
  procIsHosts: boolean,
): ProcessFactsStatus {
  if (!procIsHosts) return { processes: false, containers: false, reason: NOT_THE_HOSTS };
  return { processes: true, containers, reason: containers ? '' : 'spans.containers is off' };
}
