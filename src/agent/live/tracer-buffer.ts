/** Sets up one tracer of the running kernel, in an instance of its own or at the top level. */
import { join } from 'node:path';
import { KernelError } from '../../model/errors.ts';
import type { TracerRequest } from '../../model/tracer.ts';
import { setNotracePids } from '../../tracefs/functions.ts';
import { createInstance, type Instance, tracerInstanceName } from '../../tracefs/instance.ts';
import type { Journal } from '../../tracefs/journal/journal.ts';
import { takeTopLevel } from '../../tracefs/top-level.ts';
import { textOptions } from '../../tracefs/trace-pipe.ts';
import { instanceTracers, offeredTracers, placeOf, startTracer } from '../../tracefs/tracers.ts';
import { endProbes, type MadeProbe } from '../plan/kept-probes.ts';
import type { EnabledProbe } from '../plan/plan.ts';
import { type LiveBuffer, openLiveBuffer } from './buffer.ts';
import { type FunctionSymbols, functionSymbols } from './function-symbols.ts';
import type { LatencyLog } from './latency-log.ts';
import { type Shared, shareOfMemory } from './shared.ts';
import { planStream, type ReaderKind } from './stream.ts';

export interface TracerBufferParts {
  probe: EnabledProbe;
  request: TracerRequest;
  /** Any instance of the agent. Its `available_tracers` lists the tracers that the kernel allows in instances. */
  base: Instance;
  journal: Journal;
  /** Share (0 to 1) of the buffer memory. */
  share: number;
  shared: Shared;
  latencies: LatencyLog;
  /** Probes of removed tracers. A new probe with the same name and options continues their metrics. */
  made?: readonly MadeProbe[];
  /** Called when the tracer stops working after it was opened. */
  giveUp(error: unknown): void;
}

export interface TracerBuffer {
  buffer: LiveBuffer;
  events: string[];
  warnings: readonly string[];
  /** Called about once a second. */
  refresh(): void;
}

/** Undoes all steps if it fails. Throws a `KernelError` if the kernel or another user prevents it. */
export function openTracerBuffer(parts: TracerBufferParts): TracerBuffer {
  const { request, base, journal, shared } = parts;
  if (request.functions && !shared.features.functionTracing.ok)
    throw refused(shared.root, shared.features.functionTracing.reason);
  const instance =
    placeOrRefuse(request, base) === 'top'
      ? takeTopLevel(shared.root, journal, request.tracer)
      : createInstance(shared.root, tracerInstanceName(base.name, request.tracer));
  const undo: (() => unknown)[] = [instance.remove];
  try {
    return setUp(instance, parts, undo);
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}

/** Undefined if the tracer cannot run on this kernel. */
export function whereItRuns(request: TracerRequest, base: Instance): 'instance' | 'top' | undefined {
  const place = placeOf(request, offeredTracers(base.root), instanceTracers(base.dir));
  return 'refused' in place ? undefined : place.place;
}

/** Throws a `KernelError` if the tracer cannot run on this kernel. */
export function placeOrRefuse(request: TracerRequest, base: Instance): 'instance' | 'top' {
  const place = placeOf(request, offeredTracers(base.root), instanceTracers(base.dir));
  if ('refused' in place) throw refused(base.root, place.refused);
  return place.place;
}

/** If this throws, the caller runs the functions in `undo` in reverse order. */
function setUp(instance: Instance, parts: TracerBufferParts, undo: (() => unknown)[]): TracerBuffer {
  const { probe, request, journal, shared, latencies, giveUp } = parts;
  const { tracer } = request;
  // The kernel keeps the trace of the longest latency in another buffer.
  const rate = request.reads === 'latency' ? undefined : probe.module.rate;
  const inForce = instance.prepare({ ...shareOfMemory(shared, parts.share, rate), clock: 'mono' });
  const symbols = request.functions && functionSymbols(shared.root, request.functions);
  if (request.functions) setNotracePids(instance, shared.own.list());
  const reader = readerFor(request, shared.config.reader, symbols);
  const options = { ...request.options, ...(reader === 'trace_pipe' ? textOptions(tracer) : {}) };
  const started = startTracer(instance, { ...request, options }, journal);
  undo.push(started.stop);
  const planned = planStream({
    instance,
    enabled: [probe],
    reader,
    tracer,
    shared,
    made: parts.made,
    functions: () => symbols?.names ?? { reason: `the tracer ${tracer} records no functions` },
  });
  const { plan } = planned;
  undo.push(() => endProbes(shared.store, plan.made, []));
  const { up, reason, events } = plan.probes[0];
  if (!up) throw refused(instance.dir, reason);
  const buffer = openLiveBuffer({
    name: tracer,
    instance,
    planned,
    inForce,
    shared,
    stopsWhen: stopsWhen(request),
    disks: started.disks,
    settings: started.settings,
    whenStarted: () => {
      if (request.reads !== 'latency') return;
      latencies.watch(instance, tracer, { onLatency: plan.onLatency, onError: giveUp });
    },
    stopTracer: () => {
      latencies.forget(tracer);
      return started.stop().problems;
    },
  });
  return {
    buffer,
    events,
    warnings: [...inForce.warnings, ...started.warnings, ...(symbols?.warnings ?? [])],
    refresh: () => {
      latencies.refresh(tracer, performance.now());
      if (symbols?.refresh() !== true) return;
      for (const problem of started.reapplyFilter()) shared.log.warn({ tracer }, problem);
    },
  };
}

/** `trace_pipe` if the addresses of functions are unknown, because text contains the names. */
function readerFor(
  request: TracerRequest,
  configured: 'raw' | 'trace_pipe',
  symbols: FunctionSymbols | undefined,
): ReaderKind {
  if (request.reads === 'latency') return 'none';
  if (request.reads === 'text' || (request.functions && symbols?.names === undefined)) return 'trace_pipe';
  return configured;
}

/** Why the kernel may have stopped recording by itself; '' if no `stop_tracing_…` file has a limit. */
function stopsWhen({ tracer, knobs }: TracerRequest): string {
  const stops = knobs.filter(({ file, value }) => /(^|\/)stop_tracing/.test(file) && value !== '0');
  return stops.length === 0
    ? ''
    : `${tracer} measured a latency above its limit (stop_irq or stop_thread), or another user switched the recording off`;
}

function refused(root: string, remedy: string): KernelError {
  return new KernelError({ file: join(root, 'current_tracer'), errno: '', action: 'use', remedy });
}
