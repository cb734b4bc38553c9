/**
 * Sets up a capture of the running kernel: one instance for the events and one for each tracer, as their plans need.
 * The instance of the events is always made: the process that holds it owns the name.
 */

import type { AgentConfig } from '../../config/schema.ts';
import { onlineCpus } from '../../host/cpus.ts';
import { liveHostFacts } from '../../host/facts.ts';
import { MetricStore } from '../../metrics/store.ts';
import type { ProbeStatus } from '../../model/status.ts';
import { setOptions } from '../../tracefs/buffers.ts';
import { type KernelFeatures, kernelFeatures } from '../../tracefs/features.ts';
import { createInstance, type Instance } from '../../tracefs/instance.ts';
import { markersRefused, receiveMarkers, startCopies } from '../../tracefs/markers.ts';
import { findTracefs } from '../../tracefs/mount.ts';
import { learnOwnThreads } from '../../tracefs/threads.ts';
import { textOptions } from '../../tracefs/trace-pipe.ts';
import type { Capture } from '../contract/capture.ts';
import { enabledProbes } from '../plan/enabled-probes.ts';
import type { EnabledProbe } from '../plan/plan.ts';
import { makeSelfMetrics } from '../plan/self-metrics.ts';
import { bufferSizes, leastSizes } from '../plan/sizes.ts';
import { openSpanCapture } from '../slow/span-capture.ts';
import { openTaskFacts } from '../slow/task-facts.ts';
import { EVENTS_BUFFER, type LiveBuffer, openLiveBuffer } from './buffer.ts';
import { markersRead } from './marker-buffer.ts';
import { makeOwnThreads } from './own-threads.ts';
import { type LiveOptions, runCapture } from './run.ts';
import type { Shared } from './shared.ts';
import { planStream } from './stream.ts';
import { failureOf, openTracers, type Tracers } from './tracers.ts';

/** Sets up the instances and starts draining. Removes everything again when it throws. */
export async function openLiveCapture(config: AgentConfig, options: LiveOptions): Promise<Capture> {
  const { log } = options;
  const root = findTracefs({ ...(config.tracefsPath ? { path: config.tracefsPath } : {}), mayMount: true });
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
 * Removes everything, the instance of the events last, because the process that holds it owns the name. A step that
 * fails does not stop the others. Returns their errors.
 */
function closeAll({ tracers, events, instance }: Kernel): unknown[] {
  return [tracers.close, () => events?.remove(), () => void instance.remove()].flatMap(failureOf);
}

interface Kernel {
  /** The buffer of the events, once it is open. */
  events?: LiveBuffer;
  instance: Instance;
  root: string;
  features: KernelFeatures;
  tracers: Tracers;
}

async function setUp(config: AgentConfig, kernel: Kernel, options: LiveOptions): Promise<Capture> {
  const { instance, features, tracers } = kernel;
  const { log } = options;
  const own = makeOwnThreads();
  const store = new MetricStore();
  const self = makeSelfMetrics(store, config.maxWindowMs);
  let failedOnce = false;
  const host = liveHostFacts({ machine: features.machine });
  const shared: Shared = {
    config,
    root: kernel.root,
    features,
    host,
    onlineCpus: onlineCpus(),
    store,
    self,
    own,
    log,
    onError: (cpu, error, cause) => {
      self.decodeError(error);
      if (failedOnce) return;
      failedOnce = true;
      const reason = cause instanceof Error ? cause.message : error;
      log.error(
        { cpu, error, reason },
        'cannot decode a part of the recording; further ones are only counted',
      );
    },
  };
  const { cpuCount } = instance;
  const tasks = config.spans && openTaskFacts(config.spans);
  const spans =
    config.spans &&
    openSpanCapture({
      config: config.spans,
      enabled: enabledProbes(config),
      host: shared.host,
      store,
      cpuCount,
      isSelf: own.has,
      ...(tasks && { taskFacts: tasks.of }),
    });
  const enabled = spans?.probes ?? enabledProbes(config);
  const [ofEvents, ofTracers] = [
    enabled.filter(({ module }) => module.tracer === undefined),
    enabled.filter(({ module }) => module.tracer !== undefined),
  ];
  const events = planStream({ instance, enabled: ofEvents, reader: config.reader, tracer: 'nop', shared });
  const share = 1 / buffersToDrain(ofEvents, ofTracers);
  const hasEvents = events.plan.events.length > 0;
  const machineSize = { cpus: shared.onlineCpus.length, realtime: features.realtime };
  const sizes = hasEvents
    ? bufferSizes(
        { ...config.buffer, totalBytes: config.buffer.totalBytes * share },
        machineSize,
        events.plan.rate,
      )
    : leastSizes(machineSize);
  const inForce = instance.prepare({ ...sizes, clock: 'mono' });
  if (config.reader === 'trace_pipe') setOptions(instance, textOptions('nop'));
  const threads = await learnOwnThreads(instance, options.markFromMain);
  own.add(threads.ids);
  log.debug({ threads: threads.ids, nested: threads.nested }, 'own threads');
  tasks?.procIsHosts(!threads.nested);
  host.taskClasses.procIsHosts(!threads.nested);
  const ofTasks = tasks?.status();
  if (config.spans?.containers && ofTasks?.containers === false)
    log.warn({ reason: ofTasks.reason }, 'cannot identify containers of traced processes');
  let markers = spans?.topLevelMarkers && receiveMarkers(instance);

  const buffers: LiveBuffer[] = [];
  if (hasEvents) {
    kernel.events = openLiveBuffer({
      name: EVENTS_BUFFER,
      instance,
      planned: events,
      inForce,
      shared,
      stopsWhen: '',
      whenStarted: () => {
        if (markers?.reason === '') startCopies(instance);
      },
    });
    buffers.push(kernel.events);
  }
  const started = tracers.start(ofTracers, share, shared);
  buffers.push(...started.buffers);
  const { topLevelMarkers } = spans ?? {};
  if (config.spans?.topLevelMarkers && topLevelMarkers && markers && markers.reason !== '') {
    const top = markersRead(markers, kernel.root, () => tracers.readMarkers(topLevelMarkers, shared));
    // Drained first, because a span must begin before what happens in it.
    buffers.unshift(...top.buffers);
    started.warnings.push(...top.warnings);
    markers = top.status;
  }
  if (markers !== undefined) log.info({ ...markers }, 'accepting application span markers');
  const classProblem = host.taskClasses.problem();
  const probes = inOrder(enabled, [...events.plan.probes, ...started.probes]);
  self.probesAre(probes);
  for (const { name, up, reason } of probes) if (!up) log.warn({ probe: name, reason }, 'probe is off');
  for (const { name, notes = [] } of probes)
    for (const note of notes) log.warn({ probe: name, reason: note }, 'a part of a probe matches nothing');
  const ofSched = probes.find(({ name, up }) => name === 'sched' && up);
  if (ofSched !== undefined && classProblem !== '') {
    log.info({ reason: classProblem }, 'waits of batch and idle tasks count as class normal');
    ofSched.notes = [
      ...(ofSched.notes ?? []),
      `waits of batch and idle tasks count as class normal: ${classProblem}`,
    ];
  }
  const kinds = spans?.status(events.plan.helpers, probes) ?? [];
  for (const { kind, up, reason } of kinds) if (!up) log.warn({ kind, reason }, 'this kind of traces is off');
  const warnings = [
    ...features.warnings,
    ...inForce.warnings,
    ...threads.warnings,
    ...(sizes.note ? [sizes.note] : []),
    ...started.warnings,
    ...(markers ? [markersRefused(kernel.root, instance.name) ?? []].flat() : []),
  ];
  for (const warning of warnings) log.warn({}, warning);

  const { kernelRelease, machine, clock } = instance.metadata();
  return runCapture({
    shared,
    tracers,
    spans,
    buffers,
    // In a pid namespace of its own, the agent's /proc has other numbers than the trace.
    followsThreads: !threads.nested,
    facts: {
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
      ...(markers && { markers }),
      ...(ofTasks && { tasks: ofTasks }),
    },
    warnings: [...tracers.leftovers, ...warnings],
    close: () => closeAll(kernel),
    options,
  });
}

/** How many buffers share the memory: those that are read. */
function buffersToDrain(ofEvents: readonly EnabledProbe[], ofTracers: readonly EnabledProbe[]): number {
  const read = ofTracers.filter(({ module, options }) => module.tracer?.(options).reads !== 'latency').length;
  return Math.max(1, read + (ofEvents.length > 0 ? 1 : 0));
}

/** Statuses in the order of the config. */
function inOrder(enabled: readonly EnabledProbe[], statuses: readonly ProbeStatus[]): ProbeStatus[] {
  const measured = enabled.filter(({ onlyFor }) => onlyFor === undefined);
  return measured.flatMap(({ module }) => statuses.find(({ name }) => name === module.name) ?? []);
}
