/**
 * Opens one kernel buffer (an instance, or the top level) for a plan. Returns the stream to drain, its counters, and a
 * health check that notices when others switch off, take or delete events.
 */
import { KernelError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { BufferStatus } from '../../model/status.ts';
import type { BuffersInForce } from '../../tracefs/buffers.ts';
import { openCpuStats } from '../../tracefs/cpu-stats.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { filterOf } from '../../tracefs/instance-state.ts';
import { type CpuLoss, makeLossLedger } from '../plan/loss-ledger.ts';
import type { EventPlan } from '../plan/plan.ts';
import type { BufferReading } from '../plan/self-metrics.ts';
import { makeTraceClock } from '../stream/clock.ts';
import type { EventStream } from '../stream/stream.ts';
import { type BufferHealth, HEALTHY, makeHealthWatch } from './buffer-health.ts';
import type { Drained } from './drain.ts';
import type { Shared } from './shared.ts';
import type { PlannedStream } from './stream.ts';

/** Value of the label `buffer` for the buffer that holds the events. */
export const EVENTS_BUFFER = 'events';
/** Another reader, and missed hits, are logged at most this often. */
const LOG_EVERY_MS = 60_000;

export interface LiveBufferParts {
  /** Value of the label `buffer`: `events`, or the tracer's name. */
  name: string;
  instance: Instance;
  planned: PlannedStream;
  inForce: BuffersInForce;
  shared: Shared;
  /** Why the kernel may have stopped recording by itself; '' if it never does. */
  stopsWhen: string;
  /** Disks that the tracer blk records. */
  disks?: readonly string[];
  /** Files below the root of tracefs with settings of the tracer. */
  settings?: readonly string[];
  /** By probe, how many events the kernel has missed since the last call. */
  missed?: (() => ReadonlyMap<string, number>) | undefined;
  /** Called when recording has begun. */
  whenStarted?(): void;
  /** Ends the tracer, when no file of the buffer is open any more. Returns what could not be restored. */
  stopTracer?(): readonly string[];
}

export interface LiveBuffer {
  readonly name: string;
  readonly plan: EventPlan;
  readonly drained: Drained | undefined;
  /** Enables the events of the plan and starts recording. */
  start(): void;
  /** Follows CPUs that come and go, and lets the probes clean up. */
  refresh(): void;
  /**
   * Called before a tick reads. Notices events that others took or deleted since the last tick, and voids open
   * intervals.
   */
  beforeTick(): void;
  /** Whether somebody has written to a control file since the last `check`. */
  wasTouched(): boolean;
  /**
   * Checks whether all events arrive, and undoes changes by others after a delay. `nowMs` is monotonic. Throws when the
   * events recorded from now on cannot be used.
   */
  check(nowMs: number): BufferHealth;
  readings(): BufferReading[];
  status(): BufferStatus;
  /** Stops recording and processes the events that remain. */
  finish(): void;
  /**
   * Closes and removes the buffer; may be called again. Throws `KernelError` for what could not be removed or restored.
   */
  remove(): void;
}

/** Opens the files of the buffer. Throws `KernelError`. */
export function openLiveBuffer(parts: LiveBufferParts): LiveBuffer {
  const { name, instance, planned, inForce, shared, disks = [], settings = [], stopsWhen } = parts;
  const { plan } = planned;
  const open = planned.open();
  const now = makeTraceClock();
  const everRead = new Set<number>(open?.cpus());
  const rule = {
    rate: plan.rate,
    drainIntervalNs: shared.config.drainIntervalMs * 1e6,
    bufferBytesPerCpu: inForce.bufferBytesPerCpu,
    cpus: shared.onlineCpus.length,
  };
  const voidOpen = (): void => open?.stream.voidUntil(now());
  const log = (cpu: number, message: string) =>
    shared.log.warn({ buffer: name, cpu, instance: instance.dir }, message);
  const losses = openLosses(instance, open?.stream, { voidOpen, log });
  const health = makeHealthWatch({
    instance,
    plan,
    disks,
    settings,
    stopsWhen,
    shared,
    voidOpen,
    onPause: losses.pause,
    onSize: (bytes) => {
      rule.bufferBytesPerCpu = bytes;
    },
  });
  let logMissedAtMs = 0;
  const countMissed = (): void => {
    for (const [probe, count] of parts.missed?.() ?? []) {
      shared.self.lostBefore(probe, 'missed', count);
      plan.onLossOf(probe, now());
      if (performance.now() < logMissedAtMs) continue;
      logMissedAtMs = performance.now() + LOG_EVERY_MS;
      shared.log.warn(
        { probe, missed: count },
        'the kernel missed hits of a kprobe: they are counted as lost',
      );
    }
  };
  let closed = false;
  /** Readings from before the buffer was closed. */
  let last: BufferReading[] = [];

  return {
    name,
    plan,
    drained: open && { stream: open.stream, cpus: open.cpus, rule },
    start: () => {
      narrowEvents(instance, plan.filters, shared.log);
      instance.enable(plan.events);
      instance.start();
      health.start();
      for (const cpu of everRead) losses.look(cpu);
      parts.whenStarted?.();
    },
    refresh: () => {
      open?.refresh();
      for (const cpu of open?.cpus() ?? []) everRead.add(cpu);
      plan.sweep();
    },
    beforeTick: () => {
      if (closed) return;
      for (const cpu of open?.cpus() ?? []) losses.look(cpu);
      countMissed();
    },
    wasTouched: health.wasTouched,
    check: (nowMs) => (closed ? HEALTHY : health.check(nowMs)),
    readings: () => {
      if (open === undefined || closed) return last;
      const { stream } = open;
      last = [...everRead].map((cpu) => ({
        cpu,
        events: stream.events(cpu),
        bytes: stream.bytesRead(cpu),
        ...losses.read(cpu),
        capacityBytes: rule.bufferBytesPerCpu,
      }));
      return last;
    },
    status: () => ({
      buffer: name,
      instance: instance.name,
      reader: planned.reader,
      bufferBytesPerCpu: rule.bufferBytesPerCpu,
      subbufferBytes: inForce.subbufferBytes,
    }),
    finish: () => {
      health.close();
      instance.stop();
      countMissed();
      open?.stream.flush();
    },
    remove: () => {
      if (closed) return;
      closed = true;
      health.close();
      losses.close();
      open?.close();
      const problems = [...(parts.stopTracer?.() ?? []), ...instance.remove()];
      if (problems.length === 0) return;
      throw new KernelError({
        file: instance.dir,
        errno: '',
        action: 'restore',
        remedy: problems.join('; '),
      });
    },
  };
}

interface Losses {
  /** Compares the kernel's count of read events with what this agent has read. */
  look(cpu: number): void;
  /** Compares as `look` does, and reads all the kernel's counts. */
  read(cpu: number): { loss: CpuLoss | undefined; unreadBytes: number };
  /** Called when recording was interrupted, or may have been. */
  pause(): void;
  close(): void;
}

/** Events of a buffer that were lost, by the kernel's counts and by the comparison with what the stream has read. */
function openLosses(
  instance: Instance,
  stream: EventStream | undefined,
  { voidOpen, log }: { voidOpen(): void; log(cpu: number, message: string): void },
): Losses {
  const counts = openCpuStats(instance.dir);
  const ledger = makeLossLedger();
  let logAtMs = 0;

  const lookAt = (cpu: number, readEvents: number): void => {
    const pending = stream?.pendingEvents(cpu);
    if (stream === undefined || pending === undefined) return;
    const own = { events: stream.events(cpu) + pending, givenUp: stream.givenUp(cpu) };
    const finding = ledger.look(cpu, readEvents, own);
    if (finding === 'even') return;
    voidOpen();
    if (performance.now() < logAtMs) return;
    logAtMs = performance.now() + LOG_EVERY_MS;
    log(
      cpu,
      finding === 'taken'
        ? 'another reader takes events from this buffer: they are counted as lost'
        : 'somebody has emptied this buffer: events were lost',
    );
  };

  return {
    look: (cpu) => lookAt(cpu, counts.readEvents(cpu)),
    read: (cpu) => {
      const stats = counts.stats(cpu);
      lookAt(cpu, stats.readEvents);
      return { loss: ledger.add(cpu, stats), unreadBytes: stats.bytes };
    },
    pause: ledger.pause,
    close: counts.close,
  };
}

/** Sets filters in the kernel, so that it does not record events that probes would drop. Probes filter in any case. */
function narrowEvents(instance: Instance, filters: ReadonlyMap<string, string>, log: Log): void {
  for (const [event, filter] of filters) {
    try {
      instance.set(filterOf(event), filter);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      log.warn(
        { event, reason: error.message },
        'the kernel does not accept a filter: the agent filters instead',
      );
    }
  }
}
