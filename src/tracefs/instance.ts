/** Creates, controls and removes a tracing instance (`instances/NAME`). Source: kernel/trace/trace.c. */
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
  root: string;
  name: string;
  /** `ROOT/instances/NAME`. For the top level: the root itself. */
  dir: string;
  /** Whether `createInstance` first removed an instance that a killed agent had left. */
  leftover: boolean;
  /** Highest logical CPU number for which the kernel has a buffer, plus 1. */
  cpuCount: number;
  /** Writes a value to a control file, whose path is relative to `dir`. Throws `KernelError`. */
  set(file: string, value: string): void;
  /** Appends to a list file. Returns the values that the kernel refuses with EINVAL. Throws `KernelError`. */
  add(file: string, values: readonly string[]): string[];
  /** Stops recording, then sets options, buffer size and clock. Call this before `enable` and `openPages`. */
  prepare(request: BufferRequest): BuffersInForce;
  /** Enables events, given as `system:name`. */
  enable(events: readonly string[]): void;
  start(): void;
  /** Stops recording. Recorded events can still be read. */
  stop(): void;
  /** Returns the current metadata. Call this after `prepare`, because `prepare` can change the layout. */
  metadata(): TraceMetadata;
  /** Reads the current settings. Too slow to call at each read of the buffers. Throws `KernelError`. */
  state(recorded: Recorded): InstanceState;
  stats(cpu: number): BufferStats;
  /** Opens the pages of online CPUs. Call this only once: two readers would each get only part of the pages. */
  openPages(): LivePages;
  /** Returns the task names that the kernel has cached, as lines `pid comm`; '' if they cannot be read. */
  savedCmdlines(): string;
  /** Writes a marker from the calling thread. While recording is off, the kernel refuses markers with EBADF. */
  writeMarker(text: string): void;
  /**
   * Removes the instance. Throws a `KernelError` if another process has a file of the instance open. At the top level,
   * restores the journaled files instead, and returns messages about files that could not be restored.
   */
  remove(): readonly string[];
}

/** Allows longer names than agents have, because a tracer's instance has the name AGENT-TRACER. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
const CREATE_TRIES = 5;
const REMOVE_TRIES = 10;
const REMOVE_PAUSE_MS = 20;

export function tracerInstanceName(name: string, tracer: string): string {
  return `${name}-${tracer}`;
}

/**
 * Creates an instance, or replaces an instance that no process has open. Holds the instance (keeps `free_buffer` open),
 * so that no process can remove it. If the agent is killed, the kernel stops recording. Throws `KernelError`.
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
    'another agent creates and removes the same instance: give each agent its own name with --instance (`instance` in the config)';
  throw new KernelError({ file: dir, errno: 'EBUSY', action: 'create', remedy });
}

function checkName(name: string): void {
  if (NAME.test(name)) return;
  const remedy =
    'a name consists of up to 100 letters, digits, "_", "." and "-", and begins with a letter or digit';
  throw new KernelError({ file: 'instances', errno: 'EINVAL', action: 'use as a name', value: name, remedy });
}

/** Returns false if the directory already exists. */
function makeDirectory(dir: string): boolean {
  try {
    mkdirSync(dir, 0o750);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw refusal(error, { file: dir, action: 'create' });
  }
}

/** Returns false if the instance does not exist. Throws a `KernelError` (EBUSY) if a process has a file open. */
function removeLeftover(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return false;
    if (errno !== 'EBUSY') throw refusal(error, { file: dir, action: 'remove what a killed agent left at' });
    const remedy =
      'another agent uses it: stop that agent, or choose another name for this one with --instance (`instance` in the config)';
    throw new KernelError({ file: dir, errno, action: 'take over', remedy });
  }
}

/** Returns undefined if the instance no longer exists. */
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
  let released = false;
  let removed = false;
  const { closePages, ...common } = commonOf(root, dir);

  // First stop copying markers, because otherwise the kernel refuses all markers at the top level.
  const stop = () => {
    quietly(() => writeControl(dir, COPY_MARKERS, '0'));
    writeControl(dir, 'tracing_on', '0');
  };
  const remove = (): readonly string[] => {
    if (removed) return [];
    if (!released) {
      quietly(stop);
      quietly(() => disableEvents(dir));
      closePages();
      closeSync(freeBuffer);
      released = true;
    }
    // Removing the instance would also stop the tracer, but fails if another process has a file open.
    quietly(() => stopTracer(dir));
    removeDirectory(dir);
    removed = true;
    return [];
  };

  return {
    ...common,
    name,
    leftover,
    set: (file, value) => writeControl(dir, file, value),
    add: (file, values) => appendValues(join(dir, file), values),
    prepare: (request) => prepareBuffers(dir, request),
    enable: (events) => enableEvents(dir, events),
    start: () => writeControl(dir, 'tracing_on', '1'),
    stop,
    remove,
  };
}

/** Returns the members that instances and the top level share. None of them changes a system-wide setting. */
export function commonOf(root: string, dir: string) {
  const cpuCount = Math.max(0, ...possibleCpus(dir)) + 1;
  const opened = new Set<LivePages>();
  return {
    root,
    dir,
    cpuCount,
    metadata: () => ({
      layout: instanceLayout(dir),
      clock: clockInForce(dir),
      machine: machine(),
      kernelRelease: release(),
      cpuCount,
      events: () => listEvents(root),
      formatText: (event: string) => formatText(root, event),
    }),
    state: (recorded: Recorded) => instanceState(root, dir, recorded),
    stats: (cpu: number) => parseStats(readText(join(dir, 'per_cpu', `cpu${cpu}`, 'stats')), cpu),
    savedCmdlines: () => tryReadText(join(root, 'saved_cmdlines')) ?? '',
    writeMarker: (text: string) => writeControl(dir, 'trace_marker', text),
    openPages: () => {
      const pages = openLivePages(dir, instanceLayout(dir).pageSize);
      opened.add(pages);
      return pages;
    },
    closePages: () => {
      for (const pages of opened) pages.close();
      opened.clear();
    },
  };
}

/** Throws a `KernelError` (EBUSY) while a `trace_pipe` or `trace_pipe_raw` of the instance is open. */
export function stopTracer(dir: string): void {
  const tracer = tryReadText(join(dir, 'current_tracer'))?.trim();
  if (tracer !== undefined && tracer !== 'nop') writeControl(dir, 'current_tracer', 'nop');
}

/** Ignores a `KernelError`, so that later steps of a removal still run. */
export function quietly(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}

/** Retries on EBUSY, because an instance stays busy briefly after its files are closed. Throws `KernelError`. */
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
          'another process has one of its files open; recording has stopped; remove the instance later with `ftrace-exporter cleanup`';
        throw refusal(error, { file: dir, action: 'remove', remedy: errno === 'EBUSY' ? remedy : undefined });
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REMOVE_PAUSE_MS);
    }
  }
}
