/**
 * An instance of the tracer: buffers, events and switches of its own below `instances/NAME`, where the agent records.
 * Source: kernel/trace/trace.c, instance_mkdir(), tracing_free_buffer_release().
 */
import { closeSync, constants, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { machine, release } from 'node:os';
import { join } from 'node:path';
import { errnoOf, KernelError } from '../model/errors.ts';
import type { BufferStats, TraceMetadata } from '../model/source.ts';
import {
  type BufferRequest,
  type BuffersInForce,
  COPY_MARKERS,
  instanceLayout,
  prepareBuffers,
} from './buffers.ts';
import { possibleCpus } from './cpu-dirs.ts';
import { disableEvents, enableEvents, formatText, listEvents } from './events.ts';
import { readText, refusal, tryReadText, writeControl } from './files.ts';
import { clockInForce, type InstanceState, instanceState, type Recorded } from './instance-state.ts';
import { appendValues } from './list-files.ts';
import { type LivePages, openLivePages } from './pages.ts';
import { parseStats } from './stats.ts';

export interface Instance {
  /** Root of tracefs. */
  root: string;
  name: string;
  /** `ROOT/instances/NAME`; the root itself for the top level. */
  dir: string;
  /** Whether an instance of this name, left by a killed agent, was removed first. */
  leftover: boolean;
  /** Highest logical CPU number for which the kernel has a buffer, plus 1. */
  cpuCount: number;
  /** Writes one of its control files, relative to `dir`. Throws `KernelError`. */
  set(file: string, value: string): void;
  /** Appends to a list such as `set_ftrace_filter`; returns the values that match nothing. Throws `KernelError`. */
  add(file: string, values: readonly string[]): string[];
  /** Stops recording and sets sizes and clock. Call it before `enable` and `openPages`. */
  prepare(request: BufferRequest): BuffersInForce;
  /** Enables events, `system:name`. */
  enable(events: readonly string[]): void;
  /** Starts recording. */
  start(): void;
  /** Stops recording. Recorded events can still be read. */
  stop(): void;
  /** Current facts; the layout can change with `prepare`. */
  metadata(): TraceMetadata;
  /** Current settings, with the filters of these events. Not for every tick. Throws `KernelError`. */
  state(recorded: Recorded): InstanceState;
  stats(cpu: number): BufferStats;
  /** Opens the raw pages of all online CPUs. One reader at a time: a second would take pages from the first. */
  openPages(): LivePages;
  /** Names of tasks that the kernel remembers, lines `pid comm`; '' if it does not show them. */
  savedCmdlines(): string;
  /** Writes a text as the calling thread. While recording is off, the kernel refuses it: EBADF. */
  writeMarker(text: string): void;
  /**
   * Stops, disables, closes and removes everything. Can be called again. Throws if somebody else holds the instance.
   * Returns what could not be restored; empty for an instance, which changes nothing else.
   */
  remove(): readonly string[];
}

/** Longer than an agent's name may be, because an instance can be named after an agent and a tracer. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
const CREATE_TRIES = 5;
const REMOVE_TRIES = 10;
const REMOVE_PAUSE_MS = 20;

/** Name of the instance in which an agent runs a tracer. */
export function tracerInstanceName(name: string, tracer: string): string {
  return `${name}-${tracer}`;
}

/**
 * Makes `instances/NAME` and holds it, so that nobody can remove it and a SIGKILL stops its recording. Replaces an
 * instance that nobody holds: a killed agent left it. Throws `KernelError`; EBUSY means that a live agent has it.
 */
export function createInstance(root: string, name: string): Instance {
  checkName(name);
  const dir = join(root, 'instances', name);
  let leftover = false;
  for (let tries = 0; tries < CREATE_TRIES; tries++) {
    if (!makeDirectory(dir)) {
      leftover = removeLeftover(dir) || leftover;
      continue;
    }
    const freeBuffer = hold(dir);
    if (freeBuffer !== undefined) return makeInstance(root, name, dir, leftover, freeBuffer);
  }
  const remedy =
    'another agent makes and removes the same instance: give each its own name with --instance (`instance` in the config)';
  throw new KernelError({ file: dir, errno: 'EBUSY', action: 'create', remedy });
}

function checkName(name: string): void {
  if (NAME.test(name)) return;
  const remedy = 'a name is up to 100 letters, digits, "_", "." and "-", and begins with a letter or digit';
  throw new KernelError({ file: 'instances', errno: 'EINVAL', action: 'use as a name', value: name, remedy });
}

/** False if it already exists. */
function makeDirectory(dir: string): boolean {
  try {
    mkdirSync(dir, 0o750);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw refusal(error, { file: dir, action: 'create' });
  }
}

/** Tries to remove the instance: the kernel refuses if a process holds it. */
function removeLeftover(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return false;
    if (errno !== 'EBUSY') throw refusal(error, { file: dir, action: 'remove what was left at' });
    const remedy =
      'another agent uses it: stop that agent, or give this one another name with --instance (`instance` in the config)';
    throw new KernelError({ file: dir, errno, action: 'take over', remedy });
  }
}

/** Opens `free_buffer`; undefined if the instance has vanished meanwhile. */
function hold(dir: string): number | undefined {
  const file = join(dir, 'free_buffer');
  try {
    return openSync(file, constants.O_WRONLY);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    removeDirectory(dir);
    throw refusal(error, { file, action: 'open' });
  }
}

function makeInstance(
  root: string,
  name: string,
  dir: string,
  leftover: boolean,
  freeBuffer: number,
): Instance {
  const opened = new Set<LivePages>();
  let released = false;
  let removed = false;
  const common = commonOf(root, dir);

  // While an instance copies markers but does not record, the kernel refuses all programs' markers: stop copying first.
  const stop = () => {
    quietly(() => writeControl(dir, COPY_MARKERS, '0'));
    writeControl(dir, 'tracing_on', '0');
  };
  const remove = (): readonly string[] => {
    if (removed) return [];
    if (!released) {
      quietly(stop);
      quietly(() => disableEvents(dir));
      for (const pages of opened) pages.close();
      opened.clear();
      closeSync(freeBuffer);
      released = true;
    }
    // Removing the instance stops the tracer too, but not while somebody else has a file of it open.
    quietly(() => stopTracer(dir));
    removeDirectory(dir);
    removed = true;
    return [];
  };

  return {
    ...common,
    root,
    name,
    dir,
    leftover,
    set: (file, value) => writeControl(dir, file, value),
    add: (file, values) => appendValues(join(dir, file), values),
    prepare: (request) => prepareBuffers(dir, request),
    enable: (events) => enableEvents(dir, events),
    start: () => writeControl(dir, 'tracing_on', '1'),
    stop,
    openPages: () => {
      const pages = openLivePages(dir, instanceLayout(dir).pageSize);
      opened.add(pages);
      return pages;
    },
    remove,
  };
}

/** Methods that are the same for an instance and the top level: they change only what this instance records. */
export function commonOf(
  root: string,
  dir: string,
): Pick<Instance, 'cpuCount' | 'metadata' | 'state' | 'stats' | 'savedCmdlines' | 'writeMarker'> {
  const cpuCount = Math.max(0, ...possibleCpus(dir)) + 1;
  return {
    cpuCount,
    metadata: () => ({
      layout: instanceLayout(dir),
      clock: clockInForce(dir),
      machine: machine(),
      kernelRelease: release(),
      cpuCount,
      events: () => listEvents(root),
      formatText: (event) => formatText(root, event),
    }),
    state: (recorded) => instanceState(root, dir, recorded),
    stats: (cpu) => parseStats(readText(join(dir, 'per_cpu', `cpu${cpu}`, 'stats')), cpu),
    savedCmdlines: () => tryReadText(join(root, 'saved_cmdlines')) ?? '',
    writeMarker: (text) => writeControl(dir, 'trace_marker', text),
  };
}

/** Sets an instance's tracer to nop if it is not. Throws `KernelError`: EBUSY while its pages are open. */
export function stopTracer(dir: string): void {
  const tracer = tryReadText(join(dir, 'current_tracer'))?.trim();
  if (tracer !== undefined && tracer !== 'nop') writeControl(dir, 'current_tracer', 'nop');
}

/** Ignores errors of a step, so that removal goes on: its last step, rmdir, undoes everything. */
export function quietly(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}

/** Removes the directory, retrying because a file that was just closed can hold it a moment longer. Throws `KernelError`. */
function removeDirectory(dir: string): void {
  for (let tries = 1; ; tries++) {
    try {
      rmdirSync(dir);
      return;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOENT') return;
      if (errno !== 'EBUSY' || tries >= REMOVE_TRIES) {
        const remedy =
          'somebody else has one of its files open; recording has stopped; remove the instance later with `ftrace-exporter cleanup`';
        throw refusal(error, { file: dir, action: 'remove', remedy: errno === 'EBUSY' ? remedy : undefined });
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REMOVE_PAUSE_MS);
    }
  }
}
