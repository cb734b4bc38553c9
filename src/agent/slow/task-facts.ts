/**
 * What spans say of the process and the container of their task: looked up in /proc, where that is the host's. Names of
 * attributes are OpenTelemetry's (semantic conventions: process, container, k8s).
 */
import { makeProcessLookup } from '../../host/processes.ts';
import type { ProcessFactsStatus } from '../../model/status.ts';
import type { TaskFacts } from '../../spans/deps.ts';

export interface TaskFactsSource {
  /** Once it is known whether ids in /proc are those of the trace. Before, nothing is looked up. */
  procIsHosts(isHosts: boolean): void;
  of(tid: number, atNs: number): TaskFacts;
  status(): ProcessFactsStatus;
}

const NOTHING: TaskFacts = { attributes: {}, resource: {} };
const NOT_THE_HOSTS =
  'the agent runs in a pid namespace of its own (hostPID: true in a pod, --pid=host in a container gives it the host’s)';

export function openTaskFacts(options: { containers: boolean; procDir?: string }): TaskFactsSource {
  const { containers } = options;
  const lookup = makeProcessLookup(options);
  let isHosts = false;
  return {
    procIsHosts: (is) => {
      isHosts = is;
    },
    of: (tid, atNs) => {
      const found = isHosts ? lookup.of(tid, atNs) : undefined;
      if (found === undefined) return NOTHING;
      const { pid, executable, container } = found;
      return {
        attributes: {
          'process.pid': pid,
          ...(executable === '' ? {} : { 'process.executable.name': executable }),
        },
        resource:
          container === undefined
            ? {}
            : {
                'container.id': container.containerId,
                ...(container.podUid === '' ? {} : { 'k8s.pod.uid': container.podUid }),
              },
      };
    },
    status: () => factsOfTasks({ containers }, isHosts),
  };
}

/** `procIsHosts`: whether /proc names tasks as the trace does. */
export function factsOfTasks(
  { containers }: { containers: boolean },
  procIsHosts: boolean,
): ProcessFactsStatus {
  if (!procIsHosts) return { processes: false, containers: false, reason: NOT_THE_HOSTS };
  return { processes: true, containers, reason: containers ? '' : 'spans.containers is off' };
}
