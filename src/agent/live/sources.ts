/** Connects the probes of a config with the container table and with traces of slow operations. */
import { isDeepStrictEqual } from 'node:util';
import type { AgentConfig } from '../../config/schema.ts';
import { type ContainerTable, openContainerTable } from '../../host/container-table.ts';
import type { MetricStore } from '../../metrics/store.ts';
import { declareContainerMetrics, isPerContainer, withContainers } from '../plan/containers.ts';
import { enabledProbes } from '../plan/enabled-probes.ts';
import type { EnabledProbe } from '../plan/plan.ts';
import { openSpanCapture, type SpanCapture } from '../slow/span-capture.ts';
import { openTaskFacts, type TaskFactsSource } from '../slow/task-facts.ts';
import type { Shared } from './shared.ts';

interface ContainersInUse {
  table: ContainerTable;
  helper: EnabledProbe[];
  metrics: MetricStore;
}

export interface Sources {
  config: Pick<AgentConfig, 'containers' | 'spans'>;
  containers: ContainersInUse | undefined;
  tasks: TaskFactsSource | undefined;
  spans: SpanCapture | undefined;
  /** Enabled probes and helper probes. */
  enabled: EnabledProbe[];
}

/**
 * Keeps what the new config does not change. `procIsHosts`: whether pids in /proc are those of the trace; undefined if
 * not yet known.
 */
export function openSources(
  config: AgentConfig,
  { shared, cpuCount, procIsHosts }: { shared: Shared; cpuCount: number; procIsHosts?: boolean },
  before?: Sources,
): Sources {
  const { host, store } = shared;
  let containers = before?.containers;
  if (!isDeepStrictEqual(before?.config.containers, config.containers)) {
    if (containers !== undefined) store.drop(containers.metrics);
    containers = config.containers && openContainers(config.containers, store);
    if (procIsHosts !== undefined) containers?.table.procIsHosts(procIsHosts);
    host.containers = containers?.table;
  }
  const measured = enabledProbes(config).map((one) =>
    isPerContainer(one) ? { ...one, containers: host.containers } : one,
  );
  let { tasks, spans } = before ?? {};
  if (spans !== undefined && isDeepStrictEqual(before?.config.spans, config.spans)) spans.connect(measured);
  else {
    tasks = config.spans && openTaskFacts({ ...config.spans, table: () => host.containers });
    if (procIsHosts !== undefined) tasks?.procIsHosts(procIsHosts);
    spans =
      config.spans &&
      openSpanCapture({
        ...{ config: config.spans, enabled: measured, host, store, cpuCount },
        isSelf: shared.own.has,
        taskFacts: tasks?.of,
      });
  }
  const enabled = [...(containers?.helper ?? []), ...(spans?.probes ?? measured)];
  return { config, containers, tasks, spans, enabled };
}

function openContainers(config: NonNullable<AgentConfig['containers']>, store: MetricStore): ContainersInUse {
  const table = openContainerTable(config);
  const metrics = store.part();
  declareContainerMetrics(metrics, table);
  return { table, helper: withContainers([], table), metrics };
}
