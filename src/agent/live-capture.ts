/**
 * Capture of the running kernel: an instance for the events and one for each tracer, set up for what their plans
 * need, drained on one timer. The instance of the events is made whatever is on: who holds it holds the name.
 */

import type { AgentConfig } from '../config/schema.ts';
import { onlineCpus } from '../host/cpus.ts';
import { liveHostFacts } from '../host/facts.ts';
import { MetricStore } from '../metrics/store.ts';
import type { Log } from '../model/log.ts';
import type { TraceRecord } from '../model/span.ts';
import type { CaptureStatus, ProbeStatus } from '../model/status.ts';
import { setOptions } from '../tracefs/buffers.ts';
import { type KernelFeatures, kernelFeatures } from '../tracefs/features.ts';
import { createInstance, type Instance } from '../tracefs/instance.ts';
import { receiveMarkers } from '../tracefs/markers.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { learnOwnThreads, ownThreadIds } from '../tracefs/threads.ts';
import { textOptions } from '../tracefs/trace-pipe.ts';
import type { Capture } from './capture.ts';
import { threadCpuSeconds } from './clock.ts';
import { type Drain, startDraining } from './drain.ts';
import { enabledProbes } from './enabled-probes.ts';
import { type LiveBuffer, lossOf, openLiveBuffer } from './live-buffer.ts';
import { planStream } from './live-stream.ts';
import { markersRead } from './marker-buffer.ts';
import { makeOwnThreads } from './own-threads.ts';
import type { EnabledProbe } from './plan.ts';
import { type BufferReading, makeSelfMetrics } from './self-metrics.ts';
import type { Shared } from './shared.ts';
import { bufferSizes, leastSizes } from './sizes.ts';
import { openSpanCapture } from './span-capture.ts';
import { openTaskFacts } from './task-facts.ts';
import { failureOf, openTracers, type Tracers } from './tracers.ts';

/** Name of the events instance in labels. */
const BUFFER = 'events';
/** The log is told of lost events at most this often. */
const LOSS_LOG_MS = 60_000;
/** Chores come once a second; whether somebody has changed the instances is looked at every so many. */
const CHECK_EVERY = 5;

export interface LiveOptions {
  log: Log;
  /** Has the main thread write a text to a trace marker, so that its thread id can be learned. */
  markFromMain(file: string, text: string): Promise<void>;
  /** Reading failed for good; the instances have been given up. */
  onFatal(error: unknown): void;
  /** Why no events, or not all, will come from now on; empty when they will again. */
  onProblem(problem: string): void;
  /** Traces of slow operations, some once a second. */
  onTraces?(traces: readonly TraceRecord[]): void;
}

/** Sets up the instances and starts draining. Leaves nothing behind when it throws. */
export async function openLiveCapture(config: AgentConfig, options: LiveOptions): Promise<Capture> {
  const { log } = options;
  const root = findTracefs({ ...(config.tracefsPath ? { path: config.tracefsPath } : {}), mayMount: true });
  const features = kernelFeatures(root);
  const instance = createInstance(root, config.instance);
  if (instance.leftover)
    log.warn({ instance: instance.name }, 'removed an instance that a killed agent had left');
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
 * Removes everything; the instance of the events last, for who holds it holds the name. Whatever a step says, the
 * others are done too; gives what they threw.
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
  const self = makeSelfMetrics(store);
  let failedOnce = false;
  const shared: Shared = {
    config,
    root: kernel.root,
    features,
    host: liveHostFacts({ machine: features.machine }),
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
        'a part of the recording could not be decoded; further ones are only counted',
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
  const ofTasks = tasks?.status();
  if (config.spans?.containers && ofTasks?.containers === false)
    log.warn({ reason: ofTasks.reason }, 'containers of traced processes cannot be told');
  let markers = spans?.topLevelMarkers && receiveMarkers(instance);

  const buffers: LiveBuffer[] = [];
  if (hasEvents) {
    kernel.events = openLiveBuffer({
      name: BUFFER,
      instance,
      planned: events,
      inForce,
      shared,
      stopsWhen: '',
    });
    buffers.push(kernel.events);
  }
  const started = tracers.start(ofTracers, share, shared);
  buffers.push(...started.buffers);
  const { topLevelMarkers } = spans ?? {};
  if (config.spans?.topLevelMarkers && topLevelMarkers && markers && markers.reason !== '') {
    const top = markersRead(markers, kernel.root, () => tracers.readMarkers(topLevelMarkers, shared));
    // Drained first: a span begins before what happens in it.
    buffers.unshift(...top.buffers);
    started.warnings.push(...top.warnings);
    markers = top.status;
  }
  if (markers !== undefined) log.info({ ...markers }, 'programs can tell of their own spans');
  const probes = inOrder(enabled, [...events.plan.probes, ...started.probes]);
  self.probesAre(probes);
  for (const { name, up, reason } of probes) if (!up) log.warn({ probe: name, reason }, 'probe is off');
  const kinds = spans?.status(events.plan.helpers, probes) ?? [];
  for (const { kind, up, reason } of kinds)
    if (!up) log.warn({ kind, reason }, 'no traces of this kind are made');
  const warnings = [
    ...features.warnings,
    ...inForce.warnings,
    ...threads.warnings,
    ...(sizes.note ? [sizes.note] : []),
    ...started.warnings,
  ];
  for (const warning of warnings) log.warn({}, warning);

  const { kernelRelease, machine, clock } = instance.metadata();
  let stopped = false;
  let lastLost = 0;
  let lossLogAt = 0;
  let chores = 0;
  const unplanned = buffers.length > 0 ? '' : 'nothing that is on works on this kernel';
  let problem = unplanned;

  for (const buffer of buffers) buffer.start();
  // Loading and setting up is not what an event costs.
  const cpuSecondsBefore = threadCpuSeconds();
  const drain: Drain = startDraining({
    buffers: buffers.flatMap(({ drained }) => drained ?? []),
    onTick: self.drainTook,
    chores: () => {
      // Threads that came since; in a pid namespace of our own /proc has other numbers for them.
      if (!threads.nested) own.add(ownThreadIds());
      // First names, then the probes that keep them.
      tracers.refresh();
      for (const buffer of buffers) buffer.refresh();
      tellTraces();
      if (++chores % CHECK_EVERY === 0) checkBuffers();
    },
    onFailure: (error) => {
      giveUp();
      options.onFatal(error);
    },
  });

  function tellTraces(): void {
    const traces = spans?.take() ?? [];
    if (traces.length > 0) options.onTraces?.(traces);
  }

  interface Read {
    buffer: LiveBuffer;
    readings: BufferReading[];
  }

  /** Sets the metrics that are read rather than counted; says once a minute when events were lost. */
  function update(): Read[] {
    const now = buffers.map((buffer) => ({ buffer, readings: buffer.readings() }));
    let lost = 0;
    let late = 0;
    for (const { buffer, readings } of now) {
      self.update(buffer.name, readings);
      late += buffer.drained?.stream.lateEvents() ?? 0;
      for (const { stats } of readings)
        lost += stats ? stats.overrun + stats.commitOverrun + stats.droppedEvents : 0;
    }
    self.lateEventsAre(late);
    store.rotate(performance.now());
    if (lost > lastLost && performance.now() > lossLogAt) {
      log.warn(
        { lost: lost - lastLost },
        'events were lost: buffer.total or drain_interval do not suit this rate',
      );
      lastLost = lost;
      lossLogAt = performance.now() + LOSS_LOG_MS;
    }
    return now;
  }

  /** Who may write tracefs can stop us without a word. Throws when nothing can be made of what is recorded now. */
  function checkBuffers(): void {
    const now =
      unplanned || buffers.map((buffer) => buffer.whatIsWrong()).find((wrong) => wrong !== '') || '';
    if (now === problem) return;
    if (now === '') log.info({ instance: instance.name }, 'all events are recorded again');
    else log.error({ reason: now }, 'not all events are recorded any more');
    problem = now;
    options.onProblem(problem);
  }

  function giveUp(): void {
    if (stopped) return;
    stopped = true;
    drain.stop();
    const failures = closeAll(kernel);
    if (failures.length > 0) throw failures[0];
  }

  return {
    problem,
    snapshot: (known) => {
      update();
      return store.snapshot(known);
    },
    latency: tracers.latency,
    status: (): CaptureStatus => {
      const now = update();
      return {
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
        buffers: buffers.map((buffer) => buffer.status()),
        tickMs: drain.tickNs() / 1e6,
        probes,
        kinds,
        ...(markers && { markers }),
        ...(ofTasks && { tasks: ofTasks }),
        loss: now.flatMap(({ buffer, readings }) => lossOf(buffer.name, readings)),
        warnings: problem === '' ? warnings : [...warnings, problem],
        cost: {
          cpuSeconds: threadCpuSeconds() - cpuSecondsBefore,
          events: now.reduce((sum, { readings }) => readings.reduce((n, { events }) => n + events, sum), 0),
        },
      };
    },
    stop: async () => {
      if (stopped) return;
      drain.stop();
      try {
        for (const buffer of buffers) buffer.finish();
        tellTraces();
        update();
        for (const buffer of buffers) buffer.checkCounts(log);
      } finally {
        giveUp();
      }
    },
  };
}

/** How many buffers share the memory: those that are read. */
function buffersToDrain(ofEvents: readonly EnabledProbe[], ofTracers: readonly EnabledProbe[]): number {
  const read = ofTracers.filter(({ module, options }) => module.tracer?.(options).reads !== 'latency').length;
  return Math.max(1, read + (ofEvents.length > 0 ? 1 : 0));
}

/** In the order of the config. */
function inOrder(enabled: readonly EnabledProbe[], statuses: readonly ProbeStatus[]): ProbeStatus[] {
  const measured = enabled.filter(({ onlyFor }) => onlyFor === undefined);
  return measured.flatMap(({ module }) => statuses.find(({ name }) => name === module.name) ?? []);
}
