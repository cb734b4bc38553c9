/** Opens the buffers of a live capture, and switches them to another config. */
import type { AgentConfig } from '../../config/schema.ts';
import type { MarkerStatus, ProbeStatus } from '../../model/status.ts';
import { type BufferRequest, type BuffersInForce, COPY_MARKERS } from '../../tracefs/buffers.ts';
import type { KernelFeatures } from '../../tracefs/features.ts';
import { type Instance, quietly } from '../../tracefs/instance.ts';
import { receiveMarkers, startCopies } from '../../tracefs/markers.ts';
import { saveNoTaskNames } from '../../tracefs/task-names.ts';
import { endProbes } from '../plan/kept-probes.ts';
import type { EnabledProbe, EventPlan } from '../plan/plan.ts';
import type { SpanCapture } from '../slow/span-capture.ts';
import { EVENTS_BUFFER, type LiveBuffer, openLiveBuffer } from './buffer.ts';
import type { DynamicEvents } from './dynamic-events.ts';
import type { EventSymbols } from './function-symbols.ts';
import type { KernelCounts } from './kernel-counts.ts';
import { markersRead, type TopLevelMarkers } from './marker-buffer.ts';
import { type Shared, shareOfMemory } from './shared.ts';
import { openSources, type Sources } from './sources.ts';
import { type PlannedStream, planStream } from './stream.ts';
import type { StartedTracers, Tracers } from './tracers.ts';

/** `probes`: status of all probes except helpers. */
export interface Opened extends StartedTracers {
  helpers: readonly ProbeStatus[];
}

/** The running kernel, and what the agent has created in its tracefs. */
export interface Kernel {
  dynamic?: DynamicEvents;
  counts?: KernelCounts;
  /** Absent until it is opened. */
  events?: LiveBuffer;
  markers?: MarkerStatus | undefined;
  /** Whether the kernel copies markers from the top level to the instance. */
  copiesMarkers?: boolean;
  instance: Instance;
  root: string;
  features: KernelFeatures;
  tracers: Tracers;
}

export interface Live {
  kernel: Kernel;
  shared: Shared;
  symbols: EventSymbols;
  /** Sizes of the events buffer that the kernel has set. They can differ from the requested sizes. */
  inForce: BuffersInForce;
  /** Whether the agent runs in a pid namespace other than the host's. */
  isNested: boolean;
  /** Why the scheduling classes of tasks are unknown; '' if they are known. */
  classProblem(): string;
  /** Warnings from the start of the capture. A reload keeps them. */
  warnings: readonly string[];
  /** The current plan of the events buffer. */
  plan?: EventPlan;
  /** Absent until it is opened. */
  top?: TopLevelMarkers;
}

export function planOfEvents(
  { kernel, shared, symbols, plan }: Pick<Live, 'kernel' | 'shared' | 'symbols' | 'plan'>,
  enabled: readonly EnabledProbe[],
): PlannedStream {
  const { instance, dynamic } = kernel;
  return planStream({
    instance,
    enabled: enabled.filter(({ module }) => module.tracer === undefined),
    reader: shared.config.reader,
    tracer: 'nop',
    shared,
    functions: symbols.lookup,
    ...(dynamic && { refused: dynamic.refused }),
    countInKernel: kernel.counts?.count,
    made: plan?.made,
  });
}

/** Prepares the instance for events. Throws `KernelError`. */
export function prepareEvents(
  instance: Instance,
  sizes: Omit<BufferRequest, 'clock'>,
  { shared, enabled }: { shared: Shared; enabled: readonly EnabledProbe[] },
): BuffersInForce {
  const inForce = instance.prepare({ ...sizes, clock: 'mono' });
  // The text that a reader or a tracer gets from the kernel contains names.
  const needsNames =
    shared.config.reader === 'trace_pipe' || enabled.some(({ module }) => module.tracer !== undefined);
  if (!needsNames && !saveNoTaskNames(instance))
    shared.log.debug(
      {},
      'the kernel saves names of tasks for the agent, because another user records events or the kernel refused the change',
    );
  return inForce;
}

/** Opens the buffers that are not open yet. Returns all buffers, in the order in which a tick drains them. */
export function openBuffers(live: Live, { enabled, spans }: Sources, planned: PlannedStream): Opened {
  const { kernel, shared, inForce } = live;
  const { instance, tracers } = kernel;
  live.plan = planned.plan;
  followMarkers(kernel, spans);
  if (kernel.events === undefined && planned.plan.events.length > 0)
    kernel.events = openLiveBuffer({
      ...{ name: EVENTS_BUFFER, instance, planned, inForce, shared, stopsWhen: '' },
      missed: kernel.dynamic?.missed,
      whenStarted: () => {
        if (kernel.copiesMarkers) startCopies(instance);
      },
    });
  const forTracers = enabled.filter(({ module }) => module.tracer !== undefined);
  const started = tracers.start(forTracers, memoryShare(enabled), shared);
  const buffers = [...(kernel.events ? [kernel.events] : []), ...started.buffers];
  const top = readTopLevel(live, spans);
  return {
    probes: [...planned.plan.probes, ...started.probes],
    helpers: planned.plan.helpers,
    // The agent must know an application's span before it processes the events that happened during the span.
    buffers: [...(top?.buffers ?? []), ...buffers],
    warnings: [...started.warnings, ...(top?.warnings ?? [])],
  };
}

/** Reads the top level's markers, if the config requests this and the kernel cannot copy them to the instance. */
function readTopLevel(live: Live, spans: SpanCapture | undefined): TopLevelMarkers | undefined {
  const { kernel, shared } = live;
  const { markers } = kernel;
  const probe = spans?.topLevelMarkers;
  if (!shared.config.spans?.topLevelMarkers || !probe || !markers?.reason) return live.top;
  live.top = markersRead(markers, kernel.root, () => kernel.tracers.readMarkers(probe, shared));
  kernel.markers = live.top.status;
  return live.top;
}

/** Starts to receive applications' markers if a kind of traces uses them; otherwise stops. */
function followMarkers(kernel: Kernel, spans: SpanCapture | undefined): void {
  const { instance } = kernel;
  const isWanted = spans?.topLevelMarkers !== undefined;
  if (isWanted === (kernel.markers !== undefined)) return;
  if (!isWanted) quietly(() => instance.set(COPY_MARKERS, '0'));
  kernel.markers = isWanted ? receiveMarkers(instance) : undefined;
  kernel.copiesMarkers = kernel.markers?.reason === '';
  if (kernel.copiesMarkers && kernel.events !== undefined) startCopies(instance);
}

/** The share (0 to 1) of the buffer memory for each buffer that the agent reads. */
export function memoryShare(enabled: readonly EnabledProbe[]): number {
  const ofTracers = enabled.filter(({ module }) => module.tracer !== undefined);
  const read = ofTracers.filter(({ module, options }) => module.tracer?.(options).reads !== 'latency').length;
  return 1 / Math.max(1, read + (enabled.length > ofTracers.length ? 1 : 0));
}

/** Call this between ticks. Keeps everything that the new config does not change. */
export function replaceSources(
  config: AgentConfig,
  live: Live,
  before: Sources,
): { sources: Sources; opened: Opened } {
  const { kernel, shared } = live;
  const { instance, events } = kernel;
  shared.config = config;
  const cpuCount = instance.cpuCount;
  const sources = openSources(config, { shared, cpuCount, procIsHosts: !live.isNested }, before);
  kernel.dynamic?.update(sources.enabled, (gone) => {
    kernel.counts?.forget(gone);
    events?.release(gone);
  });
  const plan = () => planOfEvents(live, sources.enabled);
  const planned = events === undefined ? plan() : events.replan(plan);
  if (events === undefined) {
    endProbes(shared.store, live.plan?.made ?? [], planned.plan.made);
    const sizes = shareOfMemory(shared, memoryShare(sources.enabled), planned.plan.rate);
    if (planned.plan.events.length > 0)
      live.inForce = prepareEvents(instance, sizes, { shared, enabled: sources.enabled });
  }
  const opened = openBuffers(live, sources, planned);
  const names = new Set(namesOf(sources));
  for (const name of namesOf(before)) if (!names.has(name)) shared.self.forgetProbe(name);
  return { sources, opened };
}

function namesOf({ enabled }: Sources): string[] {
  return enabled.flatMap(({ module, onlyFor }) => (onlyFor === undefined ? [module.name] : []));
}
