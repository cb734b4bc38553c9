/**
 * One tracer of the running kernel and the probe that reads it: a request enters; the tracer, on in an instance of its
 * own or at the top level, and its buffer, ready to be started, leave.
 */
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import type { ProbeStatus } from '../model/status.ts';
import type { TracerRequest } from '../model/tracer.ts';
import { setNotracePids } from '../tracefs/functions.ts';
import { createInstance, type Instance, tracerInstanceName } from '../tracefs/instance.ts';
import type { Journal } from '../tracefs/journal.ts';
import { takeTopLevel } from '../tracefs/top-level.ts';
import { instanceTracers, offeredTracers, placeOf, startTracer } from '../tracefs/tracers.ts';
import { type FunctionSymbols, functionSymbols } from './function-symbols.ts';
import type { LatencyLog } from './latency-log.ts';
import { type LiveBuffer, openLiveBuffer } from './live-buffer.ts';
import { planStream, type ReaderKind } from './live-stream.ts';
import type { EnabledProbe } from './plan.ts';
import type { Shared } from './shared.ts';
import { bufferSizes } from './sizes.ts';

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
}

export interface TracerBuffer {
  buffer: LiveBuffer;
  status: ProbeStatus;
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

/** Where a tracer runs on this kernel. `base` is an instance of ours. Throws `KernelError` where it cannot run. */
export function placeOrRefuse(request: TracerRequest, base: Instance): 'instance' | 'top' {
  const place = placeOf(request, offeredTracers(base.root), instanceTracers(base.dir));
  if ('refused' in place) throw refused(base.root, place.refused);
  return place.place;
}

/** `undo` gets what is to be called, the last first, when something fails later. */
function setUp(instance: Instance, parts: TracerBufferParts, undo: (() => unknown)[]): TracerBuffer {
  const { probe, request, journal, shared, latencies } = parts;
  const { tracer } = request;
  const inForce = instance.prepare({ ...sizesFor(parts), clock: 'mono' });
  const symbols = request.functions && functionSymbols(shared.root, request.functions);
  if (request.functions) setNotracePids(instance, shared.own.list());
  const started = startTracer(instance, request, journal);
  undo.push(started.stop);
  const planned = planStream({
    instance,
    enabled: [probe],
    reader: readerFor(request, shared.config.reader, symbols),
    tracer,
    shared,
    functions: symbols?.names,
  });
  const { plan } = planned;
  const buffer = openLiveBuffer({
    name: tracer,
    instance,
    planned,
    inForce,
    shared,
    stopsWhen: stopsWhen(request),
    whenStarted: () => {
      if (request.reads === 'latency') latencies.watch(instance, tracer, plan.onLatency);
    },
    stopTracer: () => {
      latencies.forget(tracer);
      return started.stop().problems;
    },
  });
  return {
    buffer,
    status: plan.probes[0],
    warnings: [...inForce.warnings, ...started.warnings, ...(symbols?.warnings ?? [])],
    refresh: () => {
      if (symbols?.refresh() !== true) return;
      for (const problem of started.reapplyFilter()) shared.log.warn({ tracer }, problem);
    },
  };
}

/** What is never drained gets the least there is: the trace of a longest latency is kept in a buffer of its own. */
function sizesFor({ probe, request, share, shared }: TracerBufferParts) {
  const { config, onlineCpus, features } = shared;
  const total = request.reads === 'latency' ? 0 : config.buffer.totalBytes * share;
  const kernel = { cpus: onlineCpus.length, realtime: features.realtime };
  return bufferSizes({ ...config.buffer, totalBytes: total }, kernel, probe.module.rate);
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
