/**
 * Sets up one tracer of the running kernel for the probe that uses it. The tracer runs in an instance of its own or at
 * the top level. Returns the tracer's buffer, which the caller must start.
 */
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
  /**
   * One of the agent's instances. Its file `available_tracers` lists the tracers that the kernel allows in instances.
   */
  base: Instance;
  journal: Journal;
  /** Share of the buffer memory that this tracer may use. */
  share: number;
  shared: Shared;
  latencies: LatencyLog;
  /**
   * Probes of the tracers that a reload has removed. A new probe with the same name and options continues the metrics
   * of the removed probe.
   */
  made?: readonly MadeProbe[];
  /** Called when the tracer stops working after it was opened. */
  giveUp(error: unknown): void;
}

export interface TracerBuffer {
  buffer: LiveBuffer;
  events: string[];
  warnings: readonly string[];
  /** Updates function names, and resets the latency maximum if its window has ended. Called about once a second. */
  refresh(): void;
}

/**
 * Opens the tracer's buffer. If this fails, undoes all steps and throws; a `KernelError` if the kernel or another user
 * prevents it.
 */
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

/**
 * Returns where a tracer runs on this kernel; undefined if the tracer cannot run. `base`: one of the agent's instances.
 */
export function whereItRuns(request: TracerRequest, base: Instance): 'instance' | 'top' | undefined {
  const place = placeOf(request, offeredTracers(base.root), instanceTracers(base.dir));
  return 'refused' in place ? undefined : place.place;
}

/** Returns where a tracer runs on this kernel. Throws a `KernelError` if the tracer cannot run. */
export function placeOrRefuse(request: TracerRequest, base: Instance): 'instance' | 'top' {
  const place = placeOf(request, offeredTracers(base.root), instanceTracers(base.dir));
  if ('refused' in place) throw refused(base.root, place.refused);
  return place.place;
}

/**
 * Sets up the tracer and its buffer. Adds functions to `undo`. If `setUp` throws, the caller runs these functions in
 * reverse order.
 */
function setUp(instance: Instance, parts: TracerBufferParts, undo: (() => unknown)[]): TracerBuffer {
  const { probe, request, journal, shared, latencies, giveUp } = parts;
  const { tracer } = request;
  // The agent never drains a latency tracer's buffer, because the kernel keeps the trace of the longest latency in
  // another buffer.
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

/**
 * Returns how to read the buffer. Returns `trace_pipe` (text) if the addresses of functions are unknown, because text
 * contains the names.
 */
function readerFor(
  request: TracerRequest,
  configured: 'raw' | 'trace_pipe',
  symbols: FunctionSymbols | undefined,
): ReaderKind {
  if (request.reads === 'latency') return 'none';
  if (request.reads === 'text' || (request.functions && symbols?.names === undefined)) return 'trace_pipe';
  return configured;
}

/**
 * Returns why recording may have stopped, if the request sets a limit at which the kernel stops recording (a file
 * `stop_tracing_…`). Otherwise returns ''.
 */
function stopsWhen({ tracer, knobs }: TracerRequest): string {
  const stops = knobs.filter(({ file, value }) => /(^|\/)stop_tracing/.test(file) && value !== '0');
  return stops.length === 0
    ? ''
    : `${tracer} measured a latency above its limit (stop_irq or stop_thread), or another user switched the recording off`;
}

function refused(root: string, remedy: string): KernelError {
  return new KernelError({ file: join(root, 'current_tracer'), errno: '', action: 'use', remedy });
}
