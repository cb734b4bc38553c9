/**
 * Opens one kernel buffer (an instance, or the top level) for a plan. Returns the stream to drain, its counters, and a
 * health check that notices when others switch off, take or delete events.
 */
import { join } from 'node:path';
import { KernelError } from '../../model/errors.ts';
import type { BufferStatus } from '../../model/status.ts';
import type { BuffersInForce } from '../../tracefs/buffers.ts';
import { type ControlWatch, watchControls } from '../../tracefs/control-watch.ts';
import { openCpuStats } from '../../tracefs/cpu-stats.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { diskSwitch } from '../../tracefs/instance-state.ts';
import { emptyList } from '../../tracefs/list-files.ts';
import { type Finding, makeLossLedger } from '../plan/loss-ledger.ts';
import type { EventPlan } from '../plan/plan.ts';
import type { BufferReading } from '../plan/self-metrics.ts';
import { makeTraceClock } from '../stream/clock.ts';
import type { Drained } from './drain.ts';
import { type Expected, type Interference, interferences, UNDO_AFTER_MS, type Undo } from './interference.ts';
import type { Shared } from './shared.ts';
import type { PlannedStream } from './stream.ts';

/** Value of the label `buffer` for the buffer that holds the events. */
export const EVENTS_BUFFER = 'events';
/** Another reader is logged at most this often. */
const LOG_EVERY_MS = 60_000;

export interface LiveBufferParts {
  /** Value of the label `buffer`: `events`, or the tracer's name. */
  name: string;
  instance: Instance;
  planned: PlannedStream;
  inForce: BuffersInForce;
  shared: Shared;
  /** Why the kernel may have stopped recording by itself; '' where it does not. */
  stopsWhen: string;
  /** Disks that the tracer blk records. */
  disks?: readonly string[];
  /** Called when recording has begun. */
  whenStarted?(): void;
  /** Ends the tracer, when no file of the buffer is open any more. Returns what could not be restored. */
  stopTracer?(): readonly string[];
}

/** What other users have changed in a buffer. */
export interface BufferHealth {
  /** Why some or all of its events do not arrive. */
  problems: readonly string[];
  /** Changes that cost no events. */
  notices: readonly string[];
  /** Probes that miss some or all of their events, with the reason. */
  down: ReadonlyMap<string, string>;
}

export const HEALTHY: BufferHealth = { problems: [], notices: [], down: new Map() };

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
  const { name, instance, planned, inForce, shared, disks = [] } = parts;
  const { plan } = planned;
  const { log } = shared;
  const open = planned.open();
  const counts = openCpuStats(instance.dir);
  const ledger = makeLossLedger();
  const now = makeTraceClock();
  const everRead = new Set<number>(open?.cpus());
  const rule = {
    rate: plan.rate,
    drainIntervalNs: shared.config.drainIntervalMs * 1e6,
    bufferBytesPerCpu: inForce.bufferBytesPerCpu,
    cpus: shared.onlineCpus.length,
  };
  let expected: Expected | undefined;
  let watch: ControlWatch | undefined;
  /** A control file was written since the last check. */
  let touched = false;
  /** The agent itself is writing to control files. */
  let isUndoing = false;
  /** Problems of the last check, joined. */
  let wrongBefore = '';
  let undoAtMs = Number.POSITIVE_INFINITY;
  let logAtMs = 0;
  let closed = false;
  /** Readings from before the buffer was closed. */
  let last: BufferReading[] = [];

  /** Voids intervals that are open on any CPU: events are missing before this moment. */
  const voidOpen = (): void => open?.stream.voidUntil(now());

  const report = (cpu: number, finding: Finding): void => {
    voidOpen();
    if (performance.now() < logAtMs) return;
    logAtMs = performance.now() + LOG_EVERY_MS;
    const message =
      finding === 'taken'
        ? 'another reader takes events from this buffer: they are counted as lost'
        : 'somebody has emptied this buffer: events were lost';
    log.warn({ buffer: name, cpu, instance: instance.dir }, message);
  };

  /** Compares the kernel's count of read events with what this agent has read. */
  const lookAt = (cpu: number, readEvents: number): void => {
    if (open === undefined) return;
    const { stream } = open;
    const pending = stream.pendingEvents(cpu);
    if (pending === undefined) return;
    const own = { events: stream.events(cpu) + pending, givenUp: stream.givenUp(cpu) };
    const finding = ledger.look(cpu, readEvents, own);
    if (finding !== 'even') report(cpu, finding);
  };

  const readings = (): BufferReading[] => {
    if (open === undefined || closed) return last;
    const { stream } = open;
    last = [...everRead].map((cpu) => {
      const stats = counts.stats(cpu);
      lookAt(cpu, stats.readEvents);
      return {
        cpu,
        events: stream.events(cpu),
        bytes: stream.bytesRead(cpu),
        loss: ledger.add(cpu, stats),
        unreadBytes: stats.bytes,
        capacityBytes: rule.bufferBytesPerCpu,
      };
    });
    return last;
  };

  const startWatching = (): void => {
    watch = watchControls(
      instance.dir,
      { events: plan.events, cpus: shared.onlineCpus, others: disks.map(diskSwitch) },
      () => {
        voidOpen();
        if (!isUndoing) touched = true;
      },
    );
    if (watch.problem === '') return;
    log.warn(
      { instance: instance.dir, reason: watch.problem },
      'cannot watch control files: short pauses in recording by other users can go unnoticed',
    );
  };

  const undo = (changes: readonly Interference[]): void => {
    // inotify delivers these writes before the next callback of setImmediate.
    isUndoing = true;
    setImmediate(() => {
      isUndoing = false;
    });
    for (const { undo: steps = [] } of changes) for (const step of steps) undoOne(step);
    voidOpen();
  };

  const undoOne = (step: Undo): void => {
    try {
      if (step.isList) emptyList(join(instance.dir, step.file));
      if (step.isList) instance.add(step.file, step.value.split(/\s+/).filter(Boolean));
      else instance.set(step.file, step.value);
      log.warn({ file: join(instance.dir, step.file), value: step.value }, 'undid a change by another user');
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      log.error({ reason: error.message }, 'cannot undo a change by another user');
    }
  };

  const interfered = (): Interference[] => {
    if (expected === undefined) return [];
    const state = instance.state(plan.events, disks);
    rule.bufferBytesPerCpu = state.bufferBytesPerCpu;
    return interferences(expected, state);
  };

  const check = (nowMs: number): BufferHealth => {
    if (closed) return HEALTHY;
    let changes = interfered();
    const wrong = wrongOf(changes);
    // If no write was reported, the change happened at an unknown time before now.
    if (touched || wrong !== wrongBefore) {
      ledger.pause();
      voidOpen();
    }
    touched = false;
    if (!changes.some((one) => one.undo)) undoAtMs = Number.POSITIVE_INFINITY;
    else if (undoAtMs === Number.POSITIVE_INFINITY) undoAtMs = nowMs + UNDO_AFTER_MS;
    else if (nowMs >= undoAtMs) {
      undo(changes);
      changes = interfered();
      undoAtMs = Number.POSITIVE_INFINITY;
    }
    wrongBefore = wrongOf(changes);
    return healthOf(changes, plan);
  };

  return {
    name,
    plan,
    drained: open && { stream: open.stream, cpus: open.cpus, rule },
    start: () => {
      instance.enable(plan.events);
      instance.start();
      expected = {
        dir: instance.dir,
        events: plan.events,
        state: instance.state(plan.events, disks),
        stopsWhen: parts.stopsWhen,
        isTopLevel: instance.dir === instance.root,
      };
      startWatching();
      for (const cpu of everRead) lookAt(cpu, counts.readEvents(cpu));
      parts.whenStarted?.();
    },
    refresh: () => {
      open?.refresh();
      for (const cpu of open?.cpus() ?? []) everRead.add(cpu);
      plan.sweep();
    },
    beforeTick: () => {
      if (closed) return;
      for (const cpu of open?.cpus() ?? []) lookAt(cpu, counts.readEvents(cpu));
    },
    wasTouched: () => touched,
    check,
    readings,
    status: () => ({
      buffer: name,
      instance: instance.name,
      reader: planned.reader,
      bufferBytesPerCpu: rule.bufferBytesPerCpu,
      subbufferBytes: inForce.subbufferBytes,
    }),
    finish: () => {
      watch?.close();
      instance.stop();
      open?.stream.flush();
    },
    remove: () => {
      if (closed) return;
      closed = true;
      watch?.close();
      counts.close();
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

function wrongOf(changes: readonly Interference[]): string {
  return changes.map(({ reason }) => reason).join('; ');
}

function healthOf(changes: readonly Interference[], plan: EventPlan): BufferHealth {
  const down = new Map<string, string>();
  const stopping = changes.filter((one) => !one.isHarmless);
  for (const { reason, events } of stopping)
    for (const probe of [...plan.probes, ...plan.helpers])
      if (events === undefined || probe.events.some((event) => events.includes(event)))
        down.set(probe.name, down.get(probe.name) ?? reason);
  return {
    problems: stopping.map(({ reason }) => reason),
    notices: changes.filter((one) => one.isHarmless).map(({ reason }) => reason),
    down,
  };
}
