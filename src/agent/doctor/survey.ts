/** Reports what a config can trace on this machine. Mounts tracefs if needed; changes nothing else. */

import type { AgentConfig } from '../../config/schema.ts';
import { schemaKit } from '../../config/units.ts';
import { textProblem } from '../../decode/text/line-types.ts';
import { onlineCpus } from '../../host/cpus.ts';
import { liveHostFacts } from '../../host/facts.ts';
import { MetricStore } from '../../metrics/store.ts';
import { KernelError, reasonOf } from '../../model/errors.ts';
import { type FunctionLookup, NAMELESS } from '../../model/function-names.ts';
import type { KindStatus } from '../../model/status.ts';
import { probeCatalogue } from '../../probes/catalogue.ts';
import { definitionsFile } from '../../tracefs/dynamic-events.ts';
import { formatText, listEvents } from '../../tracefs/events.ts';
import { type KernelFeatures, kernelFeatures } from '../../tracefs/features.ts';
import { listFunctions } from '../../tracefs/functions.ts';
import { requireHistTriggers } from '../../tracefs/hist-triggers.ts';
import { journalState } from '../../tracefs/journal/leftovers.ts';
import { topLevelUser } from '../../tracefs/journal/top-level-user.ts';
import { findTracefs } from '../../tracefs/mount.ts';
import { type TracingUse, tracingUse } from '../../tracefs/others.ts';
import { placeOf, wantedEvents } from '../live/dynamic-events.ts';
import { eventSymbols } from '../live/function-symbols.ts';
import { textFormat } from '../live/stream.ts';
import { enabledProbes } from '../plan/enabled-probes.ts';
import { type EnabledProbe, type EventPlan, planEvents } from '../plan/plan.ts';
import { makeSelfMetrics } from '../plan/self-metrics.ts';
import { openSpanCapture } from '../slow/span-capture.ts';
import { type ProcessFacts, processFacts } from './process-facts.ts';

export interface ProbeSurvey {
  name: string;
  help: string;
  on: boolean;
  /** For a disabled probe: whether it would work. */
  ok: boolean;
  /** Why the probe does not work; '' if it does. */
  reason: string;
  /** Empty if the probe does not work, or if it needs kprobes or uprobes, which `doctor` does not define. */
  events: string[];
  /** '' if the probe reads only events. */
  tracer: string;
  /** What the probe cannot measure on this machine, and names in the config that match nothing. */
  notes: readonly string[];
}

export interface TracerSurvey {
  name: string;
  /** `instance`, `instance, if the kernel allows it` or `top level`. '' if the tracer is not available. */
  where: string;
  /** Why the tracer is not available; '' if it is available. */
  reason: string;
}

export interface Survey {
  /** Why nothing can be traced; '' if something can. */
  problem: string;
  process: ProcessFacts;
  /** Absent if tracefs is not available. */
  kernel?: KernelFeatures & {
    tracefs: string;
    onlineCpus: number[];
    eventCount: number;
    /** True if the config's instance exists: an agent is running, or a killed agent left it. */
    ownInstanceExists: boolean;
    /** What another user does at the top level of tracefs; '' if no other user is found. */
    topLevelUser: string;
    /** What the journal says about control files that an agent must restore. '' if the journal is empty. */
    journal: string;
    surveyedTracers: TracerSurvey[];
  } & TracingUse;
  probes: ProbeSurvey[];
  /** Status of each enabled kind of traces. */
  kinds: KindStatus[];
}

export async function survey(config: AgentConfig): Promise<Survey> {
  const facts = processFacts();
  let root: string;
  try {
    root = findTracefs({ path: config.tracefsPath, mayMount: true });
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { problem: error.message, process: facts, probes: [], kinds: [] };
  }
  const features = kernelFeatures(root);
  const use = tracingUse(root);
  const events = listEvents(root);
  const online = onlineCpus();
  const problem =
    use.instancesRefused === ''
      ? ''
      : `cannot create an instance in ${root}/instances: ${use.instancesRefused}: run as root, with tracefs mounted writable`;
  const kernel: Kernel = { root, features, events, online };
  const probes = surveyProbes(config, kernel);
  return {
    problem,
    process: facts,
    kernel: {
      ...features,
      ...use,
      tracefs: root,
      onlineCpus: online,
      eventCount: events.length,
      topLevelUser: topLevelUser(root) ?? '',
      journal: journalState({ root, stateDir: config.stateDir, name: config.instance }) ?? '',
      ownInstanceExists: use.instances.includes(config.instance),
      surveyedTracers: features.tracers.map((name) => surveyTracer(name, features)),
    },
    probes,
    kinds: surveyKinds(config, probes, kernel),
  };
}

/** Returns where a tracer can run. Not certain if no instance exists, because `doctor` must not create one. */
function surveyTracer(name: string, features: KernelFeatures): TracerSurvey {
  const reason = features.refusedTracers[name] ?? '';
  if (reason !== '') return { name, where: '', reason };
  const { instanceTracers } = features;
  if (runsAtTheTop(name, features)) return { name, where: 'top level', reason };
  return {
    name,
    where: instanceTracers === undefined ? 'instance, if the kernel allows it' : 'instance',
    reason,
  };
}

/** Whether a tracer cannot run in an instance. If no instance exists, considers only what its probe requires. */
function runsAtTheTop(tracer: string, { instanceTracers }: KernelFeatures): boolean {
  const isTopOnly = probeCatalogue.some((module) => {
    const request = module.tracer?.(module.schema(schemaKit).parse({ enabled: false }));
    return request?.tracer === tracer && request.where === 'top';
  });
  return isTopOnly || (instanceTracers !== undefined && !instanceTracers.includes(tracer));
}

interface Kernel {
  root: string;
  features: KernelFeatures;
  events: readonly string[];
  online: readonly number[];
}

function surveyProbes(config: AgentConfig, kernel: Kernel): ProbeSurvey[] {
  const { root, features } = kernel;
  const enabled = enabledProbes(config);
  const all = probeCatalogue.map((module): EnabledProbe => {
    const configured = enabled.find((candidate) => candidate.module === module);
    return configured ?? { module, options: module.schema(schemaKit).parse({ enabled: false }) };
  });
  const metrics = enabled.filter(({ module }) => !probeCatalogue.includes(module));
  return [...all, ...metrics].map((probe) => {
    const { module, options } = probe;
    const on = enabled.some((candidate) => candidate.module === module);
    const common = { name: module.name, help: module.help, on };
    const tracer = module.tracer?.(options).tracer ?? '';
    const refused = tracer === '' ? '' : whyNoTracer(tracer, root, features);
    if (refused !== '') return { ...common, tracer, ok: false, reason: refused, events: [], notes: [] };
    const missing = whyUndefined(root, probe);
    if (missing !== undefined)
      return { ...common, tracer, ok: missing === '', reason: missing, events: [], notes: [] };
    const plan = planFor([probe], config, kernel);
    const { up, reason, events: used, notes = [] } = plan.probes[0];
    return { ...common, tracer, ok: up, reason, events: used, notes };
  });
}

/** Why the agent cannot define the probe's kprobes and uprobes: '' if it can; undefined if the probe needs none. */
function whyUndefined(root: string, probe: EnabledProbe): string | undefined {
  const wanted = wantedEvents([probe]);
  if (wanted.length === 0) return undefined;
  try {
    for (const { definition } of wanted) {
      definitionsFile(root, definition);
      placeOf(definition);
    }
    return '';
  } catch (error) {
    return reasonOf(error);
  }
}

function surveyKinds(config: AgentConfig, probes: readonly ProbeSurvey[], kernel: Kernel): KindStatus[] {
  if (config.spans === undefined) return [];
  const spans = openSpanCapture({
    config: config.spans,
    enabled: enabledProbes(config),
    host: liveHostFacts({ machine: kernel.features.machine }),
    store: new MetricStore(),
    cpuCount: cpuCountOf(kernel),
    isSelf: () => false,
  });
  const helpers = spans.probes.filter(({ onlyFor }) => onlyFor !== undefined);
  const statuses = probes.flatMap(({ on, ok: up, name, reason, events }) =>
    on ? [{ name, up, reason, events }] : [],
  );
  return spans.status(planFor(helpers, config, kernel).helpers, statuses);
}

function cpuCountOf({ online }: Kernel): number {
  return Math.max(0, ...online) + 1;
}

/** Plans these probes for this kernel, only to learn their status. */
function planFor(enabled: readonly EnabledProbe[], config: AgentConfig, kernel: Kernel): EventPlan {
  const { root, features, events, online } = kernel;
  const store = new MetricStore();
  return planEvents({
    enabled,
    metadata: {
      clock: 'mono',
      machine: features.machine,
      kernelRelease: features.kernelRelease,
      cpuCount: cpuCountOf(kernel),
      events: () => events,
      functions: () => functionNamesOf(root),
      formatText: (event) => textFormat(event) ?? formatText(root, event),
    },
    host: liveHostFacts({ machine: features.machine }),
    onlineCpus: online,
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
    functions: namesFor(enabled, config, root),
    countInKernel: () => {
      requireHistTriggers(root);
      return { read: () => {}, end: () => {} };
    },
    unreadable: config.reader === 'trace_pipe' ? textProblem : undefined,
  });
}

/** Reads no symbols if a probe reads a tracer, because the agent can then read text, which contains the names. */
function namesFor(enabled: readonly EnabledProbe[], { reader }: AgentConfig, root: string): FunctionLookup {
  const isText = reader === 'trace_pipe' || enabled.some(({ module }) => module.tracer !== undefined);
  return isText ? () => NAMELESS : eventSymbols(root).lookup;
}

/** Returns the names of all traceable functions. Undefined if the kernel does not list them. */
export function functionNamesOf(root: string): string[] | undefined {
  try {
    return Array.from(listFunctions(root), ({ name }) => name);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

/** Returns why a tracer is not available; '' if it is available. */
function whyNoTracer(tracer: string, root: string, features: KernelFeatures): string {
  if (!features.tracers.includes(tracer)) return `this kernel is built without the tracer ${tracer}`;
  const refused = features.refusedTracers[tracer] ?? '';
  if (refused !== '' || !runsAtTheTop(tracer, features)) return refused;
  const user = topLevelUser(root);
  return user === undefined ? '' : `it needs the top level of ${root}, but ${user}`;
}
