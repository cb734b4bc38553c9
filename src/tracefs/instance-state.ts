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

/** Switch of a disk for the tracer blk. */
export function diskSwitch(disk: string): string {
  return `/sys/block/${disk}/trace/enable`;
}

/** `events` and `disks` are those that are recorded. Throws `KernelError` if the instance cannot be read any more. */
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
