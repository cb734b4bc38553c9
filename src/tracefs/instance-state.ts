/**
 * How an instance, or the top level, is set at present: everything that somebody else can change while it records and
 * that decides which events come. Reads only. Takes locks of the kernel's tracer: not for every tick.
 */
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { bufferSizeKb, instanceLayout } from './buffers.ts';
import { withDiskOpen } from './disk-access.ts';
import { readText, tryReadText } from './files.ts';

export interface InstanceState {
  recording: boolean;
  /** Whether new events push out the oldest; where not, the kernel drops new ones without a mark. */
  overwrite: boolean;
  clock: string;
  tracer: string;
  /** Enabled events, `system:name`. */
  events: ReadonlySet<string>;
  /** Files that narrow down what is recorded, relative to the instance, and what they say. */
  limits: ReadonlyMap<string, string>;
  /** Disks whose switch for block tracing is 0. */
  disksOff: readonly string[];
  bufferBytesPerCpu: number;
  /** Bytes of a sub-buffer. */
  pageBytes: number;
}

/** Lists of tasks: the kernel records only what they are about, or leaves that out. */
export const PID_LISTS = [
  'set_event_pid',
  'set_event_notrace_pid',
  'set_ftrace_pid',
  'set_ftrace_notrace_pid',
];
export const CPU_MASK = 'tracing_cpumask';

/** Files of `events/` that say which events of a kind are recorded. */
export function filterOf(event: string): string {
  return join('events', event.replace(':', '/'), 'filter');
}

/** Switch of a disk for the tracer blk. */
export function diskSwitch(disk: string): string {
  return `/sys/block/${disk}/trace/enable`;
}

/** `events` and `disks` are those that are recorded. Throws `KernelError` where nothing can be read any more. */
export function instanceState(
  dir: string,
  events: readonly string[],
  disks: readonly string[],
): InstanceState {
  const limits = new Map<string, string>();
  for (const file of [CPU_MASK, ...PID_LISTS, ...events.map(filterOf)]) {
    const text = tryReadText(join(dir, file));
    if (text !== undefined) limits.set(file, text.trim());
  }
  return {
    recording: readText(join(dir, 'tracing_on')).trim() !== '0',
    overwrite: tryReadText(join(dir, 'options/overwrite'))?.trim() !== '0',
    clock: clockInForce(dir),
    tracer: readText(join(dir, 'current_tracer')).trim(),
    events: new Set(readText(join(dir, 'set_event')).split('\n')),
    limits,
    disksOff: disks.filter(isOff),
    bufferBytesPerCpu: bufferSizeKb(dir) * 1024,
    pageBytes: instanceLayout(dir).pageSize,
  };
}

/** A disk that is gone has nothing to switch. */
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
