/** Starts and stops a tracer in a prepared instance or at the top level. Source: kernel/trace/trace.c. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import type { Knob, TracerRequest } from '../model/tracer.ts';
import { switchOnDisks } from './blk-switch.ts';
import { setOptions } from './buffers.ts';
import { readText, tryReadText } from './files.ts';
import { reapplyFilter, setFunctionFilter } from './functions.ts';
import { refuseWhatIsInUse } from './in-use.ts';
import type { Instance } from './instance.ts';
import { normalForm } from './journal/control-forms.ts';
import type { Journal, JournalPart, Restored } from './journal/journal.ts';
import { traitsOf } from './tracer-traits.ts';

const CLOCKS_IN_NANOSECONDS = ['local', 'global', 'perf', 'mono', 'mono_raw', 'boot', 'tai'];

export interface StartedTracer {
  /** Sentences about differences from the request. */
  warnings: string[];
  /** Disks that the blk tracer records. */
  disks: readonly string[];
  /** Files at the top level that determine what the tracer records, relative to the root of tracefs. */
  settings: readonly string[];
  /** Applies the function filter to functions of modules that were loaded later. Returns error messages. */
  reapplyFilter(): string[];
  /**
   * Stops the tracer and restores its knobs (see `Knob`). While a `trace_pipe` or `trace_pipe_raw` of the instance is
   * open, the kernel refuses: `problems` then contains the error (EBUSY), and the knobs stay as they are.
   */
  stop(): Restored;
}

/** Returns the tracers that the top level accepts, including mmiotrace. Empty if the list cannot be read. */
export function offeredTracers(root: string): string[] {
  return words(join(root, 'available_tracers'));
}

/** Returns the tracers that an instance accepts. The top level accepts more tracers. */
export function instanceTracers(dir: string): string[] {
  return words(join(dir, 'available_tracers'));
}

function words(file: string): string[] {
  return (tryReadText(file) ?? '').split(/\s+/).filter((word) => word !== '');
}

/** Returns where a tracer can run on this kernel, or why it cannot. `inInstances`: tracers that instances accept. */
export function placeOf(
  { tracer, where }: Pick<TracerRequest, 'tracer' | 'where'>,
  offered: readonly string[],
  inInstances: readonly string[],
): { place: 'instance' | 'top' } | { refused: string } {
  if (!offered.includes(tracer)) return { refused: `this kernel is built without the tracer ${tracer}` };
  if (where === 'top') return { place: 'top' };
  if (inInstances.includes(tracer)) return { place: 'instance' };
  if (where === 'prefer_instance') return { place: 'top' };
  return { refused: `this kernel does not run the tracer ${tracer} in an instance` };
}

/**
 * The target must be prepared, have no open pages, and not record yet: in an instance that records while the top
 * level's `tracing_on` is 0, a latency tracer does nothing (rb_simple_write()). On failure, restores the system-wide
 * files, but not the target's own files.
 */
export function startTracer(target: Instance, request: TracerRequest, journal: Journal): StartedTracer {
  const { tracer, functions } = request;
  const knobs = journal.part(tracer);
  const warnings: string[] = [];
  let disks: readonly string[] = [];
  refuseWhatIsInUse(target, request, journal.place);
  try {
    setTracerOptions(target, request.options, knobs);
    if (request.reads === 'latency') useTopLevelClock(target, tracer);
    if (functions !== undefined) warnings.push(...setFunctionFilter(target, tracer, functions, knobs));
    if (request.cpumask !== undefined) target.set('tracing_cpumask', maskOf(request.cpumask));
    for (const file of traitsOf(tracer).changes ?? [])
      if (existsSync(join(target.root, file))) knobs.keep(file);
    setKnobs(target.root, request, knobs);
    setTracer(target, tracer);
    if (request.blockDevices !== undefined) {
      const switched = switchOnDisks(knobs, request.blockDevices);
      warnings.push(...switched.warnings);
      disks = switched.disks;
      if (switched.disks.length === 0) throw noDisks(request.blockDevices, switched.warnings);
    }
  } catch (error) {
    const undone = stop(target, knobs);
    if (undone.problems.length === 0 || !(error instanceof Error)) throw error;
    error.message += `; the clean-up after this error failed, too: ${undone.problems.join('; ')}`;
    throw error;
  }
  return {
    warnings,
    disks,
    settings: settingsOf(target.root, request),
    reapplyFilter: () => {
      try {
        if (functions !== undefined) reapplyFilter(target, tracer, functions, knobs);
        return [];
      } catch (error) {
        if (error instanceof KernelError) return [error.message];
        throw error;
      }
    },
    stop: () => stop(target, knobs),
  };
}

function settingsOf(root: string, { tracer, knobs }: TracerRequest): string[] {
  const { obeysThreshold, takesThreshold, changes = [] } = traitsOf(tracer);
  const files = new Set(knobs.map(({ file }) => file));
  if (obeysThreshold || takesThreshold) files.add('tracing_thresh');
  return [...files].filter((file) => !changes.includes(file) && existsSync(join(root, file)));
}

/** Journals options that all instances share (up to Linux 6.12). On 7.3, each instance has its own options. */
function setTracerOptions(target: Instance, options: TracerRequest['options'], knobs: JournalPart): void {
  if (target.dir === target.root) {
    setOptions(target, options);
    return;
  }
  const set = (file: string, value: string): void => {
    const write = () => target.set(file, value);
    if (tryReadText(join(target.root, file)) === undefined) write();
    else knobs.keepIfFollows(file, write);
  };
  setOptions({ dir: target.dir, set }, options);
}

/** If the tracer cannot be stopped, keeps its knobs, because without filters it would trace every function. */
function stop(target: Instance, knobs: JournalPart): Restored {
  const problems: string[] = [];
  try {
    const running = tryReadText(join(target.dir, 'current_tracer'))?.trim();
    if (running !== undefined && running !== 'nop') target.set('current_tracer', 'nop');
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    problems.push(error.message);
    knobs.stillRuns();
  }
  const put = knobs.restore();
  return { restored: put.restored, problems: [...problems, ...put.problems] };
}

/** Latency tracers take start times from the top level's clock, and `trace` omits events with earlier timestamps. */
function useTopLevelClock(target: Instance, tracer: string): void {
  const file = join(target.root, 'trace_clock');
  const clock = normalForm('choice', readText(file));
  if (!CLOCKS_IN_NANOSECONDS.includes(clock)) {
    const remedy = `the clock is ${clock}, which does not count time, but tracer ${tracer} measures with it: write local to it`;
    throw new KernelError({ file, errno: 'EBUSY', action: `run tracer ${tracer} because of`, remedy });
  }
  target.set('trace_clock', clock);
}

function setTracer(target: Instance, tracer: string): void {
  target.set('current_tracer', tracer);
  const file = join(target.dir, 'current_tracer');
  const inForce = readText(file).trim();
  if (inForce === tracer) return;
  throw new KernelError({
    file,
    errno: '',
    action: 'write',
    value: tracer,
    remedy: `the kernel set the tracer ${inForce} instead`,
  });
}

/** Retries a knob after EINVAL, because one value can limit another: osnoise's runtime must not exceed its period. */
function setKnobs(root: string, { tracer, knobs }: TracerRequest, part: JournalPart): void {
  let remaining = knobs.filter((knob) => isThere(root, tracer, knob));
  while (remaining.length > 0) {
    const refused: { knob: Knob; error: KernelError }[] = [];
    for (const knob of remaining) {
      try {
        part.set(knob.file, knob.value);
      } catch (error) {
        if (!(error instanceof KernelError) || error.errno !== 'EINVAL') throw error;
        refused.push({ knob, error });
      }
    }
    if (refused.length === remaining.length) throw refused[0].error;
    remaining = refused.map(({ knob }) => knob);
  }
}

function isThere(root: string, tracer: string, { file, optional = false }: Knob): boolean {
  if (existsSync(join(root, file))) return true;
  if (optional) return false;
  const remedy = `this kernel does not have this file, but tracer ${tracer} needs it`;
  throw new KernelError({ file: join(root, file), errno: 'ENOENT', action: 'write', remedy });
}

function noDisks(globs: readonly string[], warnings: readonly string[]): KernelError {
  const remedy = [`no traceable disk matches ${globs.join(', ')}`, ...warnings].join('; ');
  return new KernelError({ file: '/sys/block/*/trace/enable', errno: 'ENODEV', action: 'use', remedy });
}

/** Converts CPUs to a mask in the kernel's format: hexadecimal words of 32 bits, highest first. */
export function maskOf(cpus: readonly number[]): string {
  const words = new Array<number>(Math.floor(Math.max(0, ...cpus) / 32) + 1).fill(0);
  for (const cpu of cpus) words[cpu >> 5] = (words[cpu >> 5] | (1 << (cpu & 31))) >>> 0;
  return words
    .reverse()
    .map((word) => word.toString(16).padStart(8, '0'))
    .join(',');
}
