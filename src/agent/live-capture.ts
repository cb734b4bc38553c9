/** Capture of the running kernel: an own instance, set up for what the plan needs, drained on a timer. */

import type { AgentConfig } from '../config/schema.ts';
import type { PageError } from '../decode/page.ts';
import { onlineCpus } from '../host/cpus.ts';
import { liveHostFacts } from '../host/facts.ts';
import { MetricStore } from '../metrics/store.ts';
import type { Log } from '../model/log.ts';
import type { CaptureStatus } from '../model/status.ts';
import { type KernelFeatures, kernelFeatures } from '../tracefs/features.ts';
import { createInstance, type Instance, type InstanceState } from '../tracefs/instance.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { learnOwnThreads, ownThreadIds } from '../tracefs/threads.ts';
import type { Capture } from './capture.ts';
import { threadCpuSeconds } from './clock.ts';
import { type Drain, startDraining } from './drain.ts';
import { enabledProbes } from './enabled-probes.ts';
import { makeOwnThreads } from './own-threads.ts';
import { Pipeline } from './pipeline.ts';
import { planEvents } from './plan.ts';
import { type BufferReading, makeSelfMetrics } from './self-metrics.ts';
import { bufferSizes } from './sizes.ts';

/** Name of the events instance in labels. */
const BUFFER = 'events';
/** The log is told of lost events at most this often. */
const LOSS_LOG_MS = 60_000;
/** Chores come once a second; whether somebody has changed the instance is looked at every so many. */
const CHECK_EVERY = 5;

export interface LiveOptions {
  log: Log;
  /** Has the main thread write a text to a trace marker, so that its thread id can be learned. */
  markFromMain(file: string, text: string): Promise<void>;
  /** Reading failed for good; the instance has been given up. */
  onFatal(error: unknown): void;
  /** Why no events, or not all, will come from now on; empty when they will again. */
  onProblem(problem: string): void;
}

/** Sets up an instance and starts draining. Leaves nothing behind when it throws. */
export async function openLiveCapture(config: AgentConfig, options: LiveOptions): Promise<Capture> {
  const { log } = options;
  const root = findTracefs({ ...(config.tracefsPath ? { path: config.tracefsPath } : {}), mayMount: true });
  const features = kernelFeatures(root);
  const instance = createInstance(root, config.instance);
  if (instance.leftover)
    log.warn({ instance: instance.name }, 'removed an instance that a killed agent had left');
  try {
    return await setUp(config, { instance, root, features }, options);
  } catch (error) {
    instance.remove();
    throw error;
  }
}

interface Kernel {
  instance: Instance;
  root: string;
  features: KernelFeatures;
}

async function setUp(config: AgentConfig, kernel: Kernel, options: LiveOptions): Promise<Capture> {
  const { instance, features } = kernel;
  const { log } = options;
  const own = makeOwnThreads();
  const store = new MetricStore();
  const self = makeSelfMetrics(store);
  const online = onlineCpus();
  const host = liveHostFacts({ machine: features.machine });
  const plan = planEvents({
    enabled: enabledProbes(config),
    metadata: instance.metadata(),
    host,
    onlineCpus: online,
    store,
    self,
    isSelf: own.has,
  });
  self.probesAre(plan.probes);
  for (const { name, up, reason } of plan.probes) if (!up) log.warn({ probe: name, reason }, 'probe is off');

  const sizes = bufferSizes(config.buffer, { cpus: online.length, realtime: features.realtime }, plan.rate);
  const inForce = instance.prepare({ ...sizes, clock: 'mono' });
  const threads = await learnOwnThreads(instance, options.markFromMain);
  own.add(threads.ids);
  log.debug({ threads: threads.ids, nested: threads.nested }, 'own threads');
  const warnings = [
    ...features.warnings,
    ...inForce.warnings,
    ...threads.warnings,
    ...(sizes.note ? [sizes.note] : []),
  ];
  for (const warning of warnings) log.warn({}, warning);

  const { layout, kernelRelease, machine, clock } = instance.metadata();
  const pages = instance.openPages();
  const pipeline = new Pipeline({ source: pages, layout, plan, onError });
  const everRead = new Set(pages.cpus());
  let failedOnce = false;
  let stopped = false;
  let lastLost = 0;
  let lossLogAt = 0;
  let chores = 0;
  const unplanned = plan.events.length > 0 ? '' : 'none of the probes that are on works on this kernel';
  let problem = unplanned;

  function onError(cpu: number, error: PageError, cause?: unknown): void {
    self.decodeError(error);
    if (failedOnce) return;
    failedOnce = true;
    const reason = cause instanceof Error ? cause.message : error;
    log.error({ cpu, error, reason }, 'part of a page could not be decoded; further ones are only counted');
  }

  instance.enable(plan.events);
  instance.start();
  // Loading and setting up is not what an event costs.
  const cpuSecondsBefore = threadCpuSeconds();
  const drain: Drain = startDraining({
    pipeline,
    rule: {
      rate: plan.rate,
      drainIntervalNs: config.drainIntervalMs * 1e6,
      bufferBytesPerCpu: inForce.bufferBytesPerCpu,
      cpus: online.length,
    },
    cpus: () => pages.cpus(),
    onTick: self.drainTook,
    chores: () => {
      pages.refresh();
      for (const cpu of pages.cpus()) everRead.add(cpu);
      // Threads that came since; in a pid namespace of our own /proc has other numbers for them.
      if (!threads.nested) own.add(ownThreadIds());
      plan.sweep();
      if (++chores % CHECK_EVERY === 0) checkInstance();
    },
    onFailure: (error) => {
      giveUp();
      options.onFatal(error);
    },
  });

  function readings(): BufferReading[] {
    return [...everRead].map((cpu) => ({
      cpu,
      events: pipeline.merger.events(cpu),
      bytes: pipeline.bytesRead(cpu),
      stats: instance.stats(cpu),
      capacityBytes: inForce.bufferBytesPerCpu,
    }));
  }

  /** Sets the metrics that are read rather than counted; says once a minute when events were lost. */
  function update(): BufferReading[] {
    const now = readings();
    self.update(BUFFER, now, pipeline.merger.lateEvents());
    store.rotate(performance.now());
    let lost = 0;
    for (const { stats } of now)
      lost += stats ? stats.overrun + stats.commitOverrun + stats.droppedEvents : 0;
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
  function checkInstance(): void {
    const state = instance.state();
    if (state.clock !== clock) {
      throw new Error(
        `somebody has set the trace clock of ${instance.dir} to ${state.clock}: stamps before and after do not go together`,
      );
    }
    const now = unplanned || whatStopsEvents(instance.dir, state, plan.events);
    if (now === problem) return;
    if (now === '') log.info({ instance: instance.name }, 'all events are recorded again');
    else log.error({ reason: now }, 'somebody has changed the instance');
    problem = now;
    options.onProblem(problem);
  }

  function giveUp(): void {
    if (stopped) return;
    stopped = true;
    drain.stop();
    pages.close();
    instance.remove();
  }

  /** Recording stopped and everything read, our count must be the kernel's: else somebody else has read too. */
  function checkCounts(): void {
    for (const { cpu, events, stats } of update()) {
      if (stats !== undefined && stats.readEvents !== events) {
        log.warn(
          { cpu, decoded: events, readEvents: stats.readEvents },
          'the kernel counts other events as read than were decoded: did something else read from this instance?',
        );
      }
    }
  }

  return {
    problem,
    snapshot: (known) => {
      update();
      return store.snapshot(known);
    },
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
        cpus: pages.cpus().length,
        bufferBytesPerCpu: inForce.bufferBytesPerCpu,
        subbufferBytes: inForce.subbufferBytes,
        tickMs: drain.tickNs() / 1e6,
        probes: [...plan.probes],
        loss: now.map(({ cpu, events, stats }) => ({
          buffer: BUFFER,
          cpu,
          read: events,
          overrun: stats?.overrun ?? 0,
          commitOverrun: stats?.commitOverrun ?? 0,
          dropped: stats?.droppedEvents ?? 0,
        })),
        warnings: problem === '' ? warnings : [...warnings, problem],
        cost: {
          cpuSeconds: threadCpuSeconds() - cpuSecondsBefore,
          events: now.reduce((sum, { events }) => sum + events, 0),
        },
      };
    },
    stop: async () => {
      if (stopped) return;
      drain.stop();
      try {
        instance.stop();
        pipeline.flush();
        checkCounts();
      } finally {
        giveUp();
      }
    },
  };
}

/** Why events do not come that were asked for; '' when all do. */
function whatStopsEvents(dir: string, state: InstanceState, wanted: readonly string[]): string {
  if (!state.recording) return `recording was switched off: write 1 to ${dir}/tracing_on`;
  const missing = wanted.filter((event) => !state.events.has(event));
  return missing.length === 0
    ? ''
    : `events were disabled in ${dir}: ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ', …' : ''}; start the agent again`;
}
