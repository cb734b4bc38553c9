/**
 * Facts about the process and the container of a span's task, from /proc if it shows the host's processes. Attributes
 * follow OpenTelemetry's semantic conventions (process, container, k8s).
 */
import { makeProcessLookup } from '../../host/processes.ts';
import type { ProcessFactsStatus } from '../../model/status.ts';
import type { TaskFacts } from '../../spans/deps.ts';

export interface TaskFactsSource {
  /** Sets whether /proc has the same ids as the trace. Before this call, no facts are returned. */
  procIsHosts(isHosts: boolean): void;
  of(tid: number, atNs: number): TaskFacts;
  status(): ProcessFactsStatus;
}

const NOTHING: TaskFacts = { attributes: {}, resource: {} };
const NOT_THE_HOSTS =
  'the agent runs in its own pid namespace (use the host’s: hostPID: true in a pod, --pid=host in a container)';

export function openTaskFacts(options: { containers: boolean; procDir?: string }): TaskFactsSource {
  const { containers } = options;
  const lookup = makeProcessLookup(options);
  let isHosts = false;
  return {
    procIsHosts: (is) => {
      isHosts = is;
    },
    of: (tid, atNs) => {
      const process = isHosts ? lookup.of(tid, atNs) : undefined;
      if (process === undefined) return NOTHING;
      const { pid, executable, container } = process;
      return {
        attributes: {
          'process.pid': pid,
          'process.executable.name': executable || undefined,
        },
        resource:
          container === undefined
            ? {}
            : {
                'container.id': container.containerId,
                'k8s.pod.uid': container.podUid || undefined,
              },
      };
    },
    status: () => factsOfTasks({ containers }, isHosts),
  };
}

/** `procIsHosts`: whether /proc has the same task ids as the trace. */
export function factsOfTasks(
  { containers }: { containers: boolean },
  procIsHosts: boolean,
): ProcessFactsStatus {
  if (!procIsHosts) return { processes: false, containers: false, reason: NOT_THE_HOSTS };
  return { processes: true, containers, reason: containers ? '' : 'spans.containers is off' };
}
