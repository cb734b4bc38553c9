/**
 * Current settings of an instance, or of the top level, that decide which events arrive and that others can change while
 * it records. Only reads. Takes locks of the kernel's tracer, so it must not run on every tick.
 */
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { bufferSizeKb, instanceLayout } from './buffers.ts';
import { withDiskOpen } from './disk-access.ts';
import { readText, tryReadText } from './files.ts';

export interface InstanceState {
  recording: boolean;
  /** Whether new events replace the oldest. If not, the kernel drops new ones without a mark. */
  overwrite: boolean;
  clock: string;
  tracer: string;
  /** Enabled events, `system:name`. */
  events: ReadonlySet<string>;
  /** Files that limit what is recorded, relative to the instance, and their contents. */
  limits: ReadonlyMap<string, string>;
  /** Settings of a tracer, which all its instances share: files below the root, and their contents. */
  settings: ReadonlyMap<string, string>;
  /** Disks whose switch for block tracing is 0. */
  disksOff: readonly string[];
  bufferBytesPerCpu: number;
  /** Bytes of a sub-buffer. */
  pageBytes: number;
}

/** Lists of tasks: the kernel records only events about them, or excludes these. */
export const PID_LISTS = [
  'set_event_pid',
  'set_event_notrace_pid',
  'set_ftrace_pid',
  'set_ftrace_notrace_pid',
];
export const CPU_MASK = 'tracing_cpumask';

/** File with the filter of an event. */
export function filterOf(event: string): string {
  return join('events', event.replace(':', '/'), 'filter');
}

/** Switch of an event. */
export function enableOf(event: string): string {
  return join('events', event.replace(':', '/'), 'enable');
}

/** Switch of a disk for the tracer blk. */
export function diskSwitch(disk: string): string {
  return `/sys/block/${disk}/trace/enable`;
}

/** What an instance records: events, disks, and the files with the settings of its tracer. */
export interface Recorded {
  events: readonly string[];
  disks: readonly string[];
  settings: readonly string[];
}

/** Throws `KernelError` if the instance cannot be read any more. */
export function instanceState(root: string, dir: string, recorded: Recorded): InstanceState {
  const { events, disks, settings } = recorded;
  const limits = [CPU_MASK, ...PID_LISTS, ...events.map(filterOf)];
  return {
    recording: readText(join(dir, 'tracing_on')).trim() !== '0',
    overwrite: tryReadText(join(dir, 'options/overwrite'))?.trim() !== '0',
    clock: clockInForce(dir),
    tracer: readText(join(dir, 'current_tracer')).trim(),
    events: new Set(readText(join(dir, 'set_event')).split('\n')),
    limits: contentsOf(dir, limits),
    settings: contentsOf(root, settings),
    disksOff: disks.filter(isOff),
    bufferBytesPerCpu: bufferSizeKb(dir) * 1024,
    pageBytes: instanceLayout(dir).pageSize,
  };
}

/** Files that can be read, and their contents. */
function contentsOf(dir: string, files: readonly string[]): Map<string, string> {
  const contents = new Map<string, string>();
  for (const file of files) {
    const text = tryReadText(join(dir, file));
    if (text !== undefined) contents.set(file, text.trim());
  }
  return contents;
}

/** Whether a disk's tracing is off; a disk that is gone has no switch. */
function isOff(disk: string): boolean {
  const file = diskSwitch(disk);
  try {
    return withDiskOpen(file, () => readText(file)).trim() === '0';
  } catch (error) {
    if (error instanceof KernelError) return false;
    throw error;
  }
}

/** The name in brackets in `trace_clock`. */
export function clockInForce(dir: string): string {
  const file = join(dir, 'trace_clock');
  const clock = /\[([^\]]+)\]/.exec(readText(file))?.[1];
  if (clock === undefined) throw new KernelError({ file, errno: '', action: 'find the clock in use in' });
  return clock;
}
