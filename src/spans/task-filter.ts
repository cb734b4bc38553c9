/** Selects the tasks that get traces of a kind: by thread or program name, container and scheduling class. */
import type { KindOptions } from '../model/span.ts';
import { TASK_CLASSES } from '../model/task-classes.ts';
import type { TimestampNs } from '../model/time.ts';
import type { SpanDeps } from './deps.ts';

/** The task that an operation belongs to. */
export interface Subject {
  pid: number;
  /** Name of the thread; '' if unknown. */
  comm: string;
  atNs: TimestampNs;
  /** Index in TASK_CLASSES if the events show the class. If undefined, the filter looks up the class. */
  taskClass?: number | undefined;
}

export type TaskFilter = (subject: Subject) => boolean;

/** Returns undefined if all tasks get traces. An unknown class counts as `normal`, an unknown container as none. */
export function makeTaskFilter(
  options: KindOptions,
  deps: Pick<SpanDeps, 'matcher' | 'taskFacts' | 'taskClass'>,
): TaskFilter | undefined {
  const { processes, excludeProcesses, containers, excludeContainers, classes } = options;
  const lists = [processes, excludeProcesses, containers, excludeContainers, classes];
  if (lists.every((list) => list === undefined)) return undefined;
  const isLimited = [processes, excludeProcesses, containers, excludeContainers].some((list) => list);
  const ofProcess = within(processes, excludeProcesses, deps);
  const ofContainer = within(containers, excludeContainers, deps);
  return (subject) => {
    const { pid, comm, atNs } = subject;
    const taskClass = subject.taskClass ?? deps.taskClass(pid);
    if (classes?.includes(TASK_CLASSES[taskClass]) === false) return false;
    if (!isLimited) return true;
    const { attributes, resource } = deps.taskFacts(pid, atNs);
    return (
      ofProcess([comm, String(attributes['process.executable.name'] ?? '')]) &&
      ofContainer([resource['container.id'] ?? '', resource['k8s.pod.uid'] ?? ''])
    );
  };
}

/** Returns a function that checks whether any name is included and none is excluded. */
function within(
  include: readonly string[] | undefined,
  exclude: readonly string[] | undefined,
  { matcher }: Pick<SpanDeps, 'matcher'>,
): (names: readonly string[]) => boolean {
  const isIncluded = include === undefined ? () => true : matcher(include);
  const isExcluded = exclude === undefined ? () => false : matcher(exclude);
  return (names) => names.some(isIncluded) && !names.some(isExcluded);
}
