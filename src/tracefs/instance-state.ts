/** Reads settings that other users can change. Read them rarely, because each read acquires locks in the kernel. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { bufferSizeKb, instanceLayout } from './buffers.ts';
import { withDiskOpen } from './disk-access.ts';
import { readText, tryReadText } from './files.ts';

export interface InstanceState {
  recording: boolean;
  /** If false, the kernel drops new events when the buffer is full, and does not flag the loss in the pages. */
  overwrite: boolean;
  clock: string;
  tracer: string;
  /** Enabled events, as `system:name`. */
  events: ReadonlySet<string>;
  /** Contents of the files that limit what is recorded, by path relative to the instance's directory. */
  limits: ReadonlyMap<string, string>;
  /** Whether the kernel adds children to the `FORKED_LISTS`, and removes tasks that exit. */
  followsForks: boolean;
  /** Contents of files with system-wide settings of the tracer, by path relative to the root of tracefs. */
  settings: ReadonlyMap<string, string>;
  /** Recorded disks for which `/sys/block/DISK/trace/enable` is 0. */
  disksOff: readonly string[];
  bufferBytesPerCpu: number;
  /** Size of a sub-buffer in bytes. */
  pageBytes: number;
}

/** A list with `notrace` in its name excludes tasks. Any other list, if not empty, contains the only recorded tasks. */
export const PID_LISTS = [
  'set_event_pid',
  'set_event_notrace_pid',
  'set_ftrace_pid',
  'set_ftrace_notrace_pid',
];
/** Pid lists of the function tracers. `options/function-fork` makes the kernel update these lists. */
export const FORKED_LISTS: readonly string[] = ['set_ftrace_pid', 'set_ftrace_notrace_pid'];
/** What the kernel shows in a file of `FORKED_LISTS` that was never written or was truncated. */
const NO_PIDS = 'no pid';
export const CPU_MASK = 'tracing_cpumask';

export function filterOf(event: string): string {
  return join('events', event.replace(':', '/'), 'filter');
}

export function enableOf(event: string): string {
  return join('events', event.replace(':', '/'), 'enable');
}

export function diskSwitch(disk: string): string {
  return `/sys/block/${disk}/trace/enable`;
}

const GONE =
  'tracefs was unmounted or the instance was removed; the agent tries to create the instance again';

/** What an instance records. The paths in `settings` are relative to the root of tracefs. */
export interface Recorded {
  events: readonly string[];
  disks: readonly string[];
  settings: readonly string[];
}

/** Throws a `KernelError` if the instance can no longer be read. */
export function instanceState(root: string, dir: string, recorded: Recorded): InstanceState {
  const { events, disks, settings } = recorded;
  const limits = [CPU_MASK, ...PID_LISTS, ...events.map(filterOf)];
  return {
    recording: readText(join(dir, 'tracing_on'), () => (existsSync(dir) ? undefined : GONE)).trim() !== '0',
    overwrite: tryReadText(join(dir, 'options/overwrite'))?.trim() !== '0',
    clock: clockInForce(dir),
    tracer: readText(join(dir, 'current_tracer')).trim(),
    events: new Set(readText(join(dir, 'set_event')).split('\n')),
    limits: contentsOf(dir, limits),
    followsForks: tryReadText(join(dir, 'options/function-fork'))?.trim() === '1',
    settings: contentsOf(root, settings),
    disksOff: disks.filter(isOff),
    bufferBytesPerCpu: bufferSizeKb(dir) * 1024,
    pageBytes: instanceLayout(dir).pageSize,
  };
}

/** Leaves out files that cannot be read. */
function contentsOf(dir: string, files: readonly string[]): Map<string, string> {
  const contents = new Map<string, string>();
  for (const file of files) {
    const text = tryReadText(join(dir, file));
    if (text !== undefined) contents.set(file, text.trim() === NO_PIDS ? '' : text.trim());
  }
  return contents;
}

/** Returns false if the switch cannot be read, for example because the disk was removed. */
function isOff(disk: string): boolean {
  const file = diskSwitch(disk);
  try {
    return withDiskOpen(file, () => readText(file)).trim() === '0';
  } catch (error) {
    if (error instanceof KernelError) return false;
    throw error;
  }
}

/** Returns the name in brackets in `trace_clock`. Throws `KernelError`. */
export function clockInForce(dir: string): string {
  const file = join(dir, 'trace_clock');
  const clock = /\[([^\]]+)\]/.exec(readText(file))?.[1];
  if (clock === undefined) throw new KernelError({ file, errno: '', action: 'find the clock in use in' });
  return clock;
}
