/**
 * One tracer of the running kernel and the probe that reads it: a request enters; the tracer, on in an instance of its
 * own or at the top level, and its buffer, ready to be started, leave.
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
import type { EnabledProbe } from '../plan/plan.ts';
import { bufferSizes, leastSizes } from '../plan/sizes.ts';
import { type LiveBuffer, openLiveBuffer } from './buffer.ts';
import { type FunctionSymbols, functionSymbols } from './function-symbols.ts';
import type { LatencyLog } from './latency-log.ts';
import type { Shared } from './shared.ts';
import { planStream, type ReaderKind } from './stream.ts';

export interface TracerBufferParts {
  probe: EnabledProbe;
  request: TracerRequest;
  /** An instance of ours, whose list of tracers is that of all instances. */
  base: Instance;
  journal: Journal;
  /** Part of the memory of all buffers that this one may take. */
  share: number;
  shared: Shared;
  latencies: LatencyLog;
  /** It works no more, once it was opened. */
  giveUp(error: unknown): void;
}

export interface TracerBuffer {
  buffer: LiveBuffer;
  /** What the probe asked for and gets. */
  events: string[];
  warnings: readonly string[];
  /** About once a second. */
  refresh(): void;
}

/** Throws `KernelError` where the kernel, or somebody who uses it, refuses; then nothing of it is left. */
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

/** Where a tracer runs on this kernel; undefined where it cannot. `base` is an instance of ours. */
export function whereItRuns(request: TracerRequest, base: Instance): 'instance' | 'top' | undefined {
  const place = placeOf(request, offeredTracers(base.root), instanceTracers(base.dir));
  return 'refused' in place ? undefined : place.place;
}

/** The same, but for a `KernelError` where it cannot. */
export function placeOrRefuse(request: TracerRequest, base: Instance): 'instance' | 'top' {
  const place = placeOf(request, offeredTracers(base.root), instanceTracers(base.dir));
  if ('refused' in place) throw refused(base.root, place.refused);
  return place.place;
}

/** `undo` gets what is to be called, the last first, when something fails later. */
function setUp(instance: Instance, parts: TracerBufferParts, undo: (() => unknown)[]): TracerBuffer {
  const { probe, request, journal, shared, latencies, giveUp } = parts;
  const { tracer } = request;
  const inForce = instance.prepare({ ...sizesFor(parts), clock: 'mono' });
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
    functions: symbols?.names,
  });
  const { plan } = planned;
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

/** What is never drained gets the least there is: the trace of a longest latency is kept in a buffer of its own. */
function sizesFor({ probe, request, share, shared }: TracerBufferParts) {
  const { config, onlineCpus, features } = shared;
  const kernel = { cpus: onlineCpus.length, realtime: features.realtime };
  if (request.reads === 'latency') return leastSizes(kernel);
  const totalBytes = config.buffer.totalBytes * share;
  return bufferSizes({ ...config.buffer, totalBytes }, kernel, probe.module.rate);
}

/** Without addresses the kernel has to write the names of functions itself. */
function readerFor(
  request: TracerRequest,
  configured: 'raw' | 'trace_pipe',
  symbols: FunctionSymbols | undefined,
): ReaderKind {
  if (request.reads === 'latency') return 'none';
  if (request.reads === 'text' || (request.functions && symbols?.names === undefined)) return 'trace_pipe';
  return configured;
}

/** Whether the request has the kernel end the recording by itself. */
function stopsWhen({ tracer, knobs }: TracerRequest): string {
  const stops = knobs.filter(({ file, value }) => /(^|\/)stop_tracing/.test(file) && value !== '0');
  return stops.length === 0 ? '' : `${tracer} met a latency it is to stop at, or somebody switched it off`;
}

function refused(root: string, remedy: string): KernelError {
  return new KernelError({ file: join(root, 'current_tracer'), errno: '', action: 'use', remedy });
}
