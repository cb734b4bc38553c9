/** Helper probe (a probe without metrics), metrics and notes for containers. */
import type { MetricStore } from '../../metrics/store.ts';
import {
  CONTAINER_LABELS,
  type ContainerEvents,
  type Containers,
  hasNamesake,
} from '../../model/containers.ts';
import { needsContainers } from '../../model/declared-metric.ts';
import type { ProbeStatus } from '../../model/status.ts';
import { CONTAINER_EVENTS, containerEvents } from '../../probes/helpers/container-events.ts';
import type { EnabledProbe } from './plan.ts';

/** Minimum time between two reads of the cgroup files: each read opens two files per container. */
const READ_EVERY_MS = 5000;

export const CONTAINERS = 'containers';

export function isPerContainer({ options }: Pick<EnabledProbe, 'options'>): boolean {
  return needsContainers(options);
}

/** Adds a helper probe that keeps the container table up to date. */
export function withContainers(
  enabled: readonly EnabledProbe[],
  table: ContainerEvents | undefined,
): EnabledProbe[] {
  return table === undefined
    ? [...enabled]
    : [{ ...containerEvents(table), onlyFor: CONTAINERS }, ...enabled];
}

/** Returns why probes with `per_container` do not show all containers. */
export function containerNotes(
  table: { problem(): string; notes(): string[] } | undefined,
  helpers: readonly ProbeStatus[],
): string[] {
  if (table === undefined) return ['there are no metrics by container: containers.enabled is false'];
  const problem = table.problem();
  if (problem !== '') return [`there are no metrics by container: ${problem}`];
  const helper = helpers.find(({ name }) => name === CONTAINER_EVENTS);
  const unseen =
    helper?.up === false
      ? [`tasks that start or move while the agent runs are not assigned to a container: ${helper.reason}`]
      : [];
  return [...unseen, ...table.notes()];
}

/** Declares the container metrics that belong to no probe. */
export function declareContainerMetrics(
  store: MetricStore,
  containers: Containers | undefined,
  nowMs = () => performance.now(),
): void {
  const lookups = store.counter({
    name: 'ftrace_exporter_container_lookups_total',
    help: 'Times the agent found no container for a task, by outcome. "unknown": the agent does not know the container of the task; "surplus": the limit containers.max was reached.',
    labels: ['outcome'],
  });
  const families = {
    throttledSeconds: store.counter({
      name: 'ftrace_container_throttled_seconds_total',
      help: 'Time for which tasks of a container could not run because the container had used up its CPU quota, as reported by the control group of the container.',
      labels: CONTAINER_LABELS,
      unit: 'seconds',
    }),
    pressureSeconds: store.counter({
      name: 'ftrace_container_cpu_pressure_seconds_total',
      help: 'Time for which at least one task of a container waited for a CPU, as reported by the control group of the container.',
      labels: CONTAINER_LABELS,
      unit: 'seconds',
    }),
  };
  if (containers === undefined) return;
  const kinds = ['throttledSeconds', 'pressureSeconds'] as const;
  /** Last read totals of each container's control group, by the container's slot in the table. */
  const written = new Map<number, { throttledSeconds: number; pressureSeconds: number }>();
  let readMs = Number.NEGATIVE_INFINITY;

  const read = (): void => {
    for (const slot of containers.slots()) {
      const labels = containers.labels(slot);
      const usage = labels && containers.usage(slot);
      if (labels === undefined || usage === undefined) continue;
      const last = written.get(slot) ?? { throttledSeconds: 0, pressureSeconds: 0 };
      for (const kind of kinds) {
        const seconds = usage[kind];
        if (seconds === undefined) continue;
        const family = families[kind];
        family.add(family.slot(labels), Math.max(0, seconds - last[kind]));
        last[kind] = seconds;
      }
      written.set(slot, last);
    }
  };

  containers.onRelease((slot) => {
    const labels = containers.labels(slot);
    written.delete(slot);
    if (labels === undefined || hasNamesake(containers, slot)) return;
    for (const kind of kinds) families[kind].remove(families[kind].slot(labels));
  });
  store.onSnapshot(() => {
    for (const [outcome, count] of Object.entries(containers.missed()))
      lookups.set(lookups.slot([outcome]), count);
    if (nowMs() - readMs < READ_EVERY_MS) return;
    readMs = nowMs();
    read();
  });
}
