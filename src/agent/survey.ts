/**
 * What can be traced here: config in; facts about the kernel, and for each probe whether it would work and why not,
 * out. Changes nothing, but mounts tracefs where it is not mounted and may be, as `run` does.
 */

import type { AgentConfig } from '../config/schema.ts';
import { schemaKit } from '../config/units.ts';
import { onlineCpus } from '../host/cpus.ts';
import { liveHostFacts } from '../host/facts.ts';
import { MetricStore } from '../metrics/store.ts';
import { KernelError } from '../model/errors.ts';
import { probeCatalogue } from '../probes/catalogue.ts';
import { formatText, listEvents } from '../tracefs/events.ts';
import { type KernelFeatures, kernelFeatures } from '../tracefs/features.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { type TracingUse, tracingUse } from '../tracefs/others.ts';
import { enabledProbes } from './enabled-probes.ts';
import { type EnabledProbe, planEvents } from './plan.ts';
import { type ProcessFacts, processFacts } from './process-facts.ts';
import { makeSelfMetrics } from './self-metrics.ts';

export interface ProbeSurvey {
  name: string;
  help: string;
  /** Whether the config has it on. */
  on: boolean;
  /** Whether it works here, or would. */
  ok: boolean;
  /** Why not; empty when ok. */
  reason: string;
  /** Events it uses, or would. */
  events: string[];
}

export interface Survey {
  /** Why nothing can be traced; empty when something can. */
  problem: string;
  process: ProcessFacts;
  /** The rest is missing where tracefs cannot be had. */
  kernel?: KernelFeatures & {
    tracefs: string;
    onlineCpus: number[];
    eventCount: number;
    /** The instance of the config is there already: an agent runs, or was killed. */
    ownInstanceExists: boolean;
  } & TracingUse;
  probes: ProbeSurvey[];
}

export async function survey(config: AgentConfig): Promise<Survey> {
  const facts = processFacts();
  let root: string;
  try {
    root = findTracefs({ ...(config.tracefsPath ? { path: config.tracefsPath } : {}), mayMount: true });
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { problem: error.message, process: facts, probes: [] };
  }
  const features = kernelFeatures(root);
  const use = tracingUse(root);
  const events = listEvents(root);
  const online = onlineCpus();
  const problem =
    use.instancesRefused === ''
      ? ''
      : `cannot make an instance in ${root}/instances: ${use.instancesRefused}: run as root, with tracefs mounted writable`;
  return {
    problem,
    process: facts,
    kernel: {
      ...features,
      ...use,
      tracefs: root,
      onlineCpus: online,
      eventCount: events.length,
      ownInstanceExists: use.instances.includes(config.instance),
    },
    probes: surveyProbes(config, { root, features, events, online }),
  };
}

function surveyProbes(
  config: AgentConfig,
  kernel: { root: string; features: KernelFeatures; events: readonly string[]; online: readonly number[] },
): ProbeSurvey[] {
  const { root, features, events, online } = kernel;
  const enabled = enabledProbes(config);
  const all = probeCatalogue.map((module): EnabledProbe => {
    const configured = enabled.find((candidate) => candidate.module === module);
    return configured ?? { module, options: module.schema(schemaKit).parse({}) };
  });
  const store = new MetricStore();
  const plan = planEvents({
    enabled: all,
    metadata: {
      clock: 'mono',
      machine: features.machine,
      kernelRelease: features.kernelRelease,
      cpuCount: Math.max(0, ...online) + 1,
      events: () => events,
      formatText: (event) => formatText(root, event),
    },
    host: liveHostFacts({ machine: features.machine }),
    onlineCpus: online,
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
  });
  return all.map(({ module }, i) => {
    const { up, reason, events: used } = plan.probes[i];
    const on = enabled.some((candidate) => candidate.module === module);
    return { name: module.name, help: module.help, on, ok: up, reason, events: used };
  });
}
