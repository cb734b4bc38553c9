/**
 * One buffer of the running kernel while it is recorded and read: an instance, or the top level, and the plan of the
 * probes it is for enter; a stream to drain, its counts, and what is wrong with it leave.
 */
import { KernelError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import type { BufferStatus, LossReport } from '../model/status.ts';
import type { BuffersInForce } from '../tracefs/buffers.ts';
import type { Instance, InstanceState } from '../tracefs/instance.ts';
import type { Drained } from './drain.ts';
import type { PlannedStream } from './live-stream.ts';
import type { EventPlan } from './plan.ts';
import type { BufferReading } from './self-metrics.ts';
import type { Shared } from './shared.ts';

export interface LiveBufferParts {
  /** As in the label `buffer`: `events`, or the tracer's name. */
  name: string;
  instance: Instance;
  planned: PlannedStream;
  inForce: BuffersInForce;
  shared: Shared;
  /** Why recording may have stopped by itself; '' where that cannot be. */
  stopsWhen: string;
  /** Once recording has begun. */
  whenStarted?(): void;
  /** Ends the tracer, with nothing open any more. Gives what could not be put back. */
  stopTracer?(): readonly string[];
}

export interface LiveBuffer {
  readonly name: string;
  readonly plan: EventPlan;
  readonly drained: Drained | undefined;
  /** Enables its events and starts recording. */
  start(): void;
  /** Follows CPUs that come and go, and has the probes do their housekeeping. */
  refresh(): void;
  /** Why not all of its events come; '' when they do. Throws when nothing can be made of what comes from now on. */
  whatIsWrong(): string;
  readings(): BufferReading[];
  status(): BufferStatus;
  /** Stops recording and hands out what is left. */
  finish(): void;
  /** Recording stopped and everything read: says where the kernel counts otherwise. */
  checkCounts(log: Log): void;
  /** Closes and removes; can be called again. Throws `KernelError` for what could not be removed or put back. */
  remove(): void;
}

/** Opens what is read. Throws `KernelError`. */
export function openLiveBuffer(parts: LiveBufferParts): LiveBuffer {
  const { name, instance, planned, inForce, shared } = parts;
  const { plan } = planned;
  const { clock } = instance.metadata();
  const open = planned.open();
  const everRead = new Set<number>(open?.cpus());
  let closed = false;
  /** Of the last look before it was closed. */
  let last: BufferReading[] = [];

  const readings = (): BufferReading[] => {
    if (open === undefined || closed) return last;
    const { stream } = open;
    last = [...everRead].map((cpu) => ({
      cpu,
      events: stream.events(cpu),
      bytes: stream.bytesRead(cpu),
      stats: instance.stats(cpu),
      capacityBytes: inForce.bufferBytesPerCpu,
    }));
    return last;
  };

  return {
    name,
    plan,
    drained: open && {
      stream: open.stream,
      cpus: open.cpus,
      rule: {
        rate: plan.rate,
        drainIntervalNs: shared.config.drainIntervalMs * 1e6,
        bufferBytesPerCpu: inForce.bufferBytesPerCpu,
        cpus: shared.onlineCpus.length,
      },
    },
    start: () => {
      instance.enable(plan.events);
      instance.start();
      parts.whenStarted?.();
    },
    refresh: () => {
      open?.refresh();
      for (const cpu of open?.cpus() ?? []) everRead.add(cpu);
      plan.sweep();
    },
    whatIsWrong: () => {
      const state = instance.state();
      if (state.clock !== clock) {
        throw new Error(
          `somebody has set the trace clock of ${instance.dir} to ${state.clock}: stamps before and after do not go together`,
        );
      }
      if (!state.recording && parts.stopsWhen !== '')
        return `recording has stopped: ${parts.stopsWhen}; write 1 to ${instance.dir}/tracing_on to go on`;
      return whatStopsEvents(instance.dir, state, plan.events);
    },
    readings,
    status: () => ({
      buffer: name,
      instance: instance.name,
      reader: planned.reader,
      bufferBytesPerCpu: inForce.bufferBytesPerCpu,
      subbufferBytes: inForce.subbufferBytes,
    }),
    finish: () => {
      instance.stop();
      open?.stream.flush();
    },
    checkCounts: (log) => {
      for (const { cpu, events, stats } of readings()) {
        if (stats === undefined || stats.readEvents === events) continue;
        log.warn(
          { buffer: name, cpu, decoded: events, readEvents: stats.readEvents },
          'the kernel counts other events as read than were decoded: did something else read from this instance?',
        );
      }
    },
    remove: () => {
      if (closed) return;
      closed = true;
      open?.close();
      const problems = [...(parts.stopTracer?.() ?? []), ...instance.remove()];
      if (problems.length === 0) return;
      throw new KernelError({
        file: instance.dir,
        errno: '',
        action: 'put back all of',
        remedy: problems.join('; '),
      });
    },
  };
}

export function lossOf(buffer: string, readings: readonly BufferReading[]): LossReport[] {
  return readings.map(({ cpu, events, stats }) => ({
    buffer,
    cpu,
    read: events,
    overrun: stats?.overrun ?? 0,
    commitOverrun: stats?.commitOverrun ?? 0,
    dropped: stats?.droppedEvents ?? 0,
  }));
}

/** Why events do not come that were asked for; '' when all do. */
function whatStopsEvents(dir: string, state: InstanceState, wanted: readonly string[]): string {
  if (!state.recording) return `recording was switched off: write 1 to ${dir}/tracing_on`;
  const missing = wanted.filter((event) => !state.events.has(event));
  return missing.length === 0
    ? ''
    : `events were disabled in ${dir}: ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ', …' : ''}; start the agent again`;
}
