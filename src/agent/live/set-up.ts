/**
 * Sets up a capture of the running kernel: one instance for the events and one for each tracer, as their plans require.
 * The instance for the events is always created, because the process that holds it owns the name.
 */

import type { AgentConfig } from '../../config/schema.ts';
import { openContainerTable } from '../../host/container-table.ts';
import { onlineCpus } from '../../host/cpus.ts';
import { liveHostFacts } from '../../host/facts.ts';
import { MetricStore } from '../../metrics/store.ts';
import type { Log } from '../../model/log.ts';
import type { MarkerStatus, ProbeStatus } from '../../model/status.ts';
import type { HostFacts } from '../../probes/probe.ts';
import { type BuffersInForce, setOptions } from '../../tracefs/buffers.ts';
import { type KernelFeatures, kernelFeatures } from '../../tracefs/features.ts';
import { createInstance, type Instance } from '../../tracefs/instance.ts';
import { markersRefused, receiveMarkers, startCopies } from '../../tracefs/markers.ts';
import { findTracefs } from '../../tracefs/mount.ts';
import { learnOwnThreads } from '../../tracefs/threads.ts';
import { textOptions } from '../../tracefs/trace-pipe.ts';
import type { Capture } from '../contract/capture.ts';
import { containerNotes, declareContainerMetrics, withContainers } from '../plan/containers.ts';
import { enabledProbes } from '../plan/enabled-probes.ts';
import type { EnabledProbe } from '../plan/plan.ts';
import { makeSelfMetrics } from '../plan/self-metrics.ts';
import { openSpanCapture, type SpanCapture } from '../slow/span-capture.ts';
import { openTaskFacts } from '../slow/task-facts.ts';
import { EVENTS_BUFFER, type LiveBuffer, openLiveBuffer } from './buffer.ts';
import { type DynamicEvents, defineEvents } from './dynamic-events.ts';
import { eventSymbols } from './function-symbols.ts';
import { withHostNotes } from './host-notes.ts';
import { type KernelCounts, openKernelCounts } from './kernel-counts.ts';
import { markersRead } from './marker-buffer.ts';
import { makeOwnThreads } from './own-threads.ts';
import { type LiveFacts, type LiveOptions, runCapture } from './run.ts';
import { type Shared, shareOfMemory } from './shared.ts';
import { type PlannedStream, planStream } from './stream.ts';
import { failureOf, openTracers, type StartedTracers, type Tracers } from './tracers.ts';

/** Sets up the instances and starts draining. If it throws, it has removed everything. */
export async function openLiveCapture(config: AgentConfig, options: LiveOptions): Promise<Capture> {
  const { log } = options;
  const root = findTracefs({ path: config.tracefsPath, mayMount: true });
  const features = kernelFeatures(root);
  const instance = createInstance(root, config.instance);
  if (instance.leftover) log.warn({ instance: instance.name }, 'removed an instance left by a killed agent');
  let tracers: Tracers;
  try {
    tracers = openTracers(config, instance, log);
  } catch (error) {
    instance.remove();
    throw error;
  }
  const kernel: Kernel = { instance, root, features, tracers };
  try {
    return await setUp(config, kernel, options);
  } catch (error) {
    closeAll(kernel);
    throw error;
  }
}

/**
 * Removes everything. Removes the instance for the events last, because the process that holds it owns the name. If a
 * step fails, the others still run. Returns all errors.
 */
function closeAll({ tracers, counts, events, dynamic, instance }: Kernel): unknown[] {
  const removeDynamic = () => dynamic?.remove(instance.dir);
  const steps = [tracers.close, () => counts?.close(), removeDynamic, () => events?.remove()];
  return [...steps, () => void instance.remove()].flatMap(failureOf);
}

interface Kernel {
  /** Events that the agent has defined. */
  dynamic?: DynamicEvents;
  /** What the kernel counts. */
  counts?: KernelCounts;
  /** The buffer for the events, after it was opened. */
  events?: LiveBuffer;
  instance: Instance;
  root: string;
  features: KernelFeatures;
  tracers: Tracers;
}

async function setUp(config: AgentConfig, kernel: Kernel, options: LiveOptions): Promise<Capture> {
  const { instance, features, tracers } = kernel;
  const { log } = options;
  const containers = config.containers && openContainerTable(config.containers);
  const host = { ...liveHostFacts({ machine: features.machine }), ...(containers && { containers }) };
  const shared = makeShared(config, kernel, host, log);
  const tasks = config.spans && openTaskFacts(config.spans);
  const spans =
    config.spans &&
    openSpanCapture({
      config: config.spans,
      enabled: enabledProbes(config),
      host: shared.host,
      store: shared.store,
      cpuCount: instance.cpuCount,
      isSelf: shared.own.has,
      taskFacts: tasks?.of,
    });
  const enabled = withContainers(spans?.probes ?? enabledProbes(config), containers);
  if (containers !== undefined) declareContainerMetrics(shared.store, containers);
  const forTracers = enabled.filter(({ module }) => module.tracer !== undefined);
  const forEvents = enabled.filter(({ module }) => module.tracer === undefined);
  kernel.dynamic = defineEvents(kernel.root, config.instance, forEvents);
  kernel.counts = openKernelCounts(instance, shared.self);
  const symbols = eventSymbols(kernel.root);
  const events = planStream({
    instance,
    enabled: forEvents,
    reader: config.reader,
    tracer: 'nop',
    shared,
    functions: symbols.lookup,
    refused: kernel.dynamic.refused,
    countInKernel: kernel.counts.count,
  });
  const share = 1 / buffersToDrain(forEvents, forTracers);
  const sizes = shareOfMemory(shared, share, events.plan.events.length > 0 ? events.plan.rate : undefined);
  const inForce = instance.prepare({ ...sizes, clock: 'mono' });
  if (config.reader === 'trace_pipe') setOptions(instance, textOptions('nop'));
  const threads = await learnOwnThreads(instance, options.markFromMain);
  shared.own.add(threads.ids);
  log.debug({ threads: threads.ids, nested: threads.nested }, 'own threads');
  tasks?.procIsHosts(!threads.nested);
  host.taskClasses.procIsHosts(!threads.nested);
  containers?.procIsHosts(!threads.nested);

  const opened = openBuffers({ kernel, shared, spans, events, inForce, forTracers, share });
  const probes = withHostNotes(inOrder(enabled, [...events.plan.probes, ...opened.probes]), enabled, {
    classProblem: host.taskClasses.problem(),
    containers: containerNotes(containers, events.plan.helpers),
  });
  shared.self.probesAre(probes);
  const kinds = spans?.status(events.plan.helpers, probes) ?? [];
  const refused = opened.markers && markersRefused(kernel.root, instance.name);
  const warnings = [
    ...features.warnings,
    ...inForce.warnings,
    ...threads.warnings,
    ...(sizes.note ? [sizes.note] : []),
    ...opened.warnings,
    ...(refused ? [refused] : []),
  ];
  const { kernelRelease, machine, clock } = instance.metadata();
  const facts: LiveFacts = {
    source: 'live',
    kernelRelease,
    machine,
    clock,
    tracefs: kernel.root,
    instance: instance.name,
    reader: config.reader,
    cpus: shared.onlineCpus.length,
    bufferBytesPerCpu: inForce.bufferBytesPerCpu,
    subbufferBytes: inForce.subbufferBytes,
    probes,
    kinds,
    markers: opened.markers,
    tasks: tasks?.status(),
  };
  logSetUp(facts, warnings, shared);
  return runCapture({
    shared,
    tracers,
    spans,
    refreshNames: symbols.refresh,
    buffers: opened.buffers,
    counts: kernel.counts,
    // If the agent has its own pid namespace, the pids in its /proc differ from those in the trace.
    followsThreads: !threads.nested,
    facts,
    warnings: [...tracers.leftovers, ...warnings],
    close: () => closeAll(kernel),
    options,
  });
}

function makeShared(config: AgentConfig, { root, features }: Kernel, host: HostFacts, log: Log): Shared {
  const store = new MetricStore();
  const self = makeSelfMetrics(store, config);
  let hasFailed = false;
  return {
    config,
    root,
    features,
    host,
    onlineCpus: onlineCpus(),
    store,
    self,
    own: makeOwnThreads(),
    log,
    onError: (cpu, error, cause) => {
      self.decodeError(error);
      if (hasFailed) return;
      hasFailed = true;
      const reason = cause instanceof Error ? cause.message : error;
      log.error(
        { cpu, error, reason },
        'cannot decode a part of the buffer; further failures are counted, but not logged',
      );
    },
  };
}

interface OpenedBuffers extends StartedTracers {
  markers: MarkerStatus | undefined;
}

/** Opens the buffers and returns them in the order in which they are drained. */
function openBuffers(parts: {
  kernel: Kernel;
  shared: Shared;
  spans: SpanCapture | undefined;
  events: PlannedStream;
  inForce: BuffersInForce;
  forTracers: readonly EnabledProbe[];
  share: number;
}): OpenedBuffers {
  const { kernel, shared, spans, events: planned, inForce, forTracers, share } = parts;
  const { instance, tracers } = kernel;
  const probe = spans?.topLevelMarkers;
  const markers = probe && receiveMarkers(instance);
  if (planned.plan.events.length > 0)
    kernel.events = openLiveBuffer({
      name: EVENTS_BUFFER,
      instance,
      planned,
      inForce,
      shared,
      stopsWhen: '',
      missed: kernel.dynamic?.missed,
      whenStarted: () => {
        if (markers?.reason === '') startCopies(instance);
      },
    });
  const started = tracers.start(forTracers, share, shared);
  if (kernel.events) started.buffers.unshift(kernel.events);
  if (!shared.config.spans?.topLevelMarkers || !probe || !markers?.reason) return { ...started, markers };
  const top = markersRead(markers, kernel.root, () => tracers.readMarkers(probe, shared));
  return {
    probes: started.probes,
    // These buffers are drained first, because a span must begin before the events inside it.
    buffers: [...top.buffers, ...started.buffers],
    warnings: [...started.warnings, ...top.warnings],
    markers: top.status,
  };
}

function logSetUp(facts: LiveFacts, warnings: readonly string[], { config, log }: Shared): void {
  const { probes, kinds, markers, tasks } = facts;
  if (config.spans?.containers && tasks?.containers === false)
    log.warn({ reason: tasks.reason }, 'cannot identify containers of traced processes');
  if (markers !== undefined) log.info({ ...markers }, 'accepting application span markers');
  for (const { name, up, reason } of probes) if (!up) log.warn({ probe: name, reason }, 'probe is off');
  for (const { name, notes = [] } of probes)
    for (const note of notes)
      log.warn(
        { probe: name, reason: note },
        'a probe is incomplete, or a name in its config matches nothing',
      );
  for (const { kind, up, reason } of kinds) if (!up) log.warn({ kind, reason }, 'this kind of traces is off');
  for (const warning of warnings) log.warn({}, warning);
}

/** Number of buffers that share the memory: those that are read. */
function buffersToDrain(ofEvents: readonly EnabledProbe[], ofTracers: readonly EnabledProbe[]): number {
  const read = ofTracers.filter(({ module, options }) => module.tracer?.(options).reads !== 'latency').length;
  return Math.max(1, read + (ofEvents.length > 0 ? 1 : 0));
}

/** Sorts statuses into the order of the config. */
function inOrder(enabled: readonly EnabledProbe[], statuses: readonly ProbeStatus[]): ProbeStatus[] {
  const measured = enabled.filter(({ onlyFor }) => onlyFor === undefined);
  return measured.flatMap(({ module }) => statuses.find(({ name }) => name === module.name) ?? []);
}
